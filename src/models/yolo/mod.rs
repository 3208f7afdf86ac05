//! YOLOv8 detection in tch.
