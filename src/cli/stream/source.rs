//! Frames from a folder of pictures, or of a video that ffmpeg decodes.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::mpsc;

use crate::proto::v1;

/// Names of pictures in a folder, by how they end.
const PICTURES: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"];
/// Frames that wait between the one who reads and the one who sends.
const READ_AHEAD: usize = 4;
/// The most pixels of a frame: those of 8K, and some more.
const MAX_PIXELS: usize = 64_000_000;

/// Where frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The pictures of a folder, by name.
    Folder(Vec<PathBuf>),
    /// Something that ffmpeg reads: a file, an address, or standard input as `pipe:0`.
    Video(OsString),
}

/// How frames are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Frames taken for each second of the video, and shown for each second of a folder.
    pub(super) fps: f64,
    /// Frames at most.
    pub(super) frames: u64,
    /// The longest side of a video's frame, in pixels; larger ones are shrunk.
    pub(super) side_px: u32,
    /// Whether a frame is sent no earlier than it would be shown.
    pub(super) realtime: bool,
}

/// A frame, or why there are no more.
pub(super) type Next = anyhow::Result<v1::Frame>;

impl Source {
    /// What `input` is: a folder, a file, an address with `://`, or `-` for standard input.
    pub(super) fn of(input: &Path) -> anyhow::Result<Self> {
        if input == Path::new("-") {
            return Ok(Self::Video("pipe:0".into()));
        }
        if input.to_str().is_some_and(|text| text.contains("://")) {
            return Ok(Self::Video(input.into()));
        }
        let about = fs::metadata(input).with_context(|| {
            format!("cannot read {}: give a video, a folder, or -", input.display())
        })?;
        if !about.is_dir() {
            // So that no part of a name is taken for a protocol.
            let mut file = OsString::from("file:");
            file.push(input);
            return Ok(Self::Video(file));
        }
        let entries =
            fs::read_dir(input).with_context(|| format!("cannot list {}", input.display()))?;
        let mut pictures: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_picture(path))
            .collect();
        pictures.sort();
        anyhow::ensure!(
            !pictures.is_empty(),
            "{} has no pictures: none ends with {}",
            input.display(),
            PICTURES.join(", ")
        );
        Ok(Self::Folder(pictures))
    }

    /// How many frames there will be, where that is known.
    pub(super) fn count(&self, pace: Pace) -> Option<u64> {
        match self {
            Self::Folder(pictures) => Some(pace.frames.min(pictures.len() as u64)),
            Self::Video(_) => None,
        }
    }

    /// Begins to read on a thread of its own, which ends with the receiver.
    pub(super) fn read(self, pace: Pace) -> mpsc::Receiver<Next> {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut sending = Sending { sender, pace, started: Instant::now(), sent: 0 };
            let read = match self {
                Self::Folder(pictures) => folder(&pictures, &mut sending),
                Self::Video(input) => video(&input, &mut sending),
            };
            if let Err(error) = read {
                // Where nobody listens any more, nobody asks why either.
                drop(sending.sender.blocking_send(Err(error)));
            }
        });
        receiver
    }
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| PICTURES.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Gives frames their numbers and times.
struct Sending {
    sender: mpsc::Sender<Next>,
    pace: Pace,
    started: Instant,
    sent: u64,
}

impl Sending {
    /// Whether another frame is wanted.
    fn send(&mut self, content: v1::image::Content) -> bool {
        if self.sent >= self.pace.frames {
            return false;
        }
        let time = Duration::from_secs_f64(self.sent as f64 / self.pace.fps);
        if self.pace.realtime {
            std::thread::sleep((self.started + time).saturating_duration_since(Instant::now()));
        }
        let frame = v1::Frame {
            sequence: self.sent,
            presentation_time: prost_types::Duration::try_from(time).ok(),
            image: Some(v1::Image { content: Some(content) }),
        };
        self.sent += 1;
        self.sender.blocking_send(Ok(frame)).is_ok() && self.sent < self.pace.frames
    }
}

fn folder(pictures: &[PathBuf], sending: &mut Sending) -> anyhow::Result<()> {
    for path in pictures {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        if !sending.send(v1::image::Content::Encoded(bytes.into())) {
            break;
        }
    }
    Ok(())
}

fn video(input: &OsString, sending: &mut Sending) -> anyhow::Result<()> {
    let mut ffmpeg = Ffmpeg::start(input, sending.pace)?;
    while let Some(frame) = portable_pixmap(&mut ffmpeg.output).context("ffmpeg's output")? {
        if !sending.send(v1::image::Content::Raw(frame)) {
            return Ok(());
        }
    }
    let status = ffmpeg.child.wait()?;
    anyhow::ensure!(status.success(), "ffmpeg cannot decode this: it ended with {status}");
    anyhow::ensure!(sending.sent > 0, "there is no frame in this video");
    Ok(())
}

/// A running ffmpeg; it ends with this.
struct Ffmpeg {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Ffmpeg {
    fn start(input: &OsString, pace: Pace) -> anyhow::Result<Self> {
        let Pace { fps, side_px, .. } = pace;
        let filter = format!(
            "fps={fps},scale=w='min({side_px},iw)':h='min({side_px},ih)':\
             force_original_aspect_ratio=decrease"
        );
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-loglevel", "error"]);
        if input != "pipe:0" {
            command.arg("-nostdin").stdin(Stdio::null());
        }
        command.arg("-i").arg(input).args(["-map", "0:v:0", "-vf", &filter]);
        // Each frame says its size before its bare pixels, so nobody has to ask for it first.
        command.args(["-f", "image2pipe", "-c:v", "ppm", "pipe:1"]).stdout(Stdio::piped());
        let mut child = command.spawn().context(
            "cannot run ffmpeg, which decodes videos: install it, or give a folder of pictures",
        )?;
        let output = child.stdout.take().context("ffmpeg has no output")?;
        Ok(Self { child, output: BufReader::with_capacity(1 << 20, output) })
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The next picture of a stream of binary PPM files with 8 bits a channel; `None` at its end.
fn portable_pixmap(reader: &mut impl BufRead) -> anyhow::Result<Option<v1::RawImage>> {
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    anyhow::ensure!(word(reader)? == "P6", "is no PPM");
    let (width, height): (u32, u32) = (word(reader)?.parse()?, word(reader)?.parse()?);
    anyhow::ensure!(word(reader)? == "255", "has more than 8 bits a channel");
    let pixels = width as usize * height as usize;
    anyhow::ensure!(pixels <= MAX_PIXELS, "a frame has {pixels} pixels, limit {MAX_PIXELS}");
    let mut data = vec![0; pixels * 3];
    reader.read_exact(&mut data).context("a frame ends early")?;
    Ok(Some(v1::RawImage {
        format: v1::PixelFormat::Rgb8.into(),
        width,
        height,
        stride: 0,
        data: data.into(),
    }))
}

/// Bytes up to the next white space, which is taken too.
fn word(reader: &mut impl BufRead) -> anyhow::Result<String> {
    let mut word = String::new();
    for byte in reader.by_ref().take(16).bytes() {
        let byte = byte?;
        if byte.is_ascii_whitespace() {
            return Ok(word);
        }
        word.push(byte.into());
    }
    anyhow::bail!("'{word}' has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_out_of_what_ffmpeg_writes() {
        let mut bytes = b"P6\n2 1\n255\n".to_vec();
        bytes.extend([1, 2, 3, 10, 13, 32]);
        bytes.extend(b"P6\n1 1\n255\nabc");
        let mut reader = &bytes[..];
        let first = portable_pixmap(&mut reader).unwrap().unwrap();
        assert_eq!(
            (first.width, first.height, &first.data[..]),
            (2, 1, &[1, 2, 3, 10, 13, 32][..])
        );
        let second = portable_pixmap(&mut reader).unwrap().unwrap();
        assert_eq!((second.width, second.height, &second.data[..]), (1, 1, &b"abc"[..]));
        assert!(portable_pixmap(&mut reader).unwrap().is_none());
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for (bytes, expected) in [
            (&b"P5\n2 1\n255\n"[..], "is no PPM"),
            (b"P6\n1 1\n65535\n", "more than 8 bits"),
            (b"P6\n100000 100000\n255\n", "limit 64000000"),
            (b"P6\n2 2\n255\nabc", "ends early"),
            (b"P6\n222222222222222222222222222", "has no end"),
        ] {
            let error = format!("{:#}", portable_pixmap(&mut { bytes }).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_an_input_is_shows_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = Source::of(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no pictures"), "{error}");
        for name in ["b.JPG", "a.png", "notes.txt"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let pictures = ["a.png", "b.JPG"].map(|name| folder.path().join(name)).to_vec();
        assert_eq!(Source::of(folder.path()).unwrap(), Source::Folder(pictures));
        let video = |input: &str| Source::of(Path::new(input)).unwrap();
        assert_eq!(video("-"), Source::Video("pipe:0".into()));
        assert_eq!(video("rtsp://a/b"), Source::Video("rtsp://a/b".into()));
        let file = folder.path().join("notes.txt");
        let Source::Video(name) = Source::of(&file).unwrap() else { panic!("a file is a video") };
        assert!(name.to_str().unwrap().starts_with("file:"), "{name:?}");
        assert!(Source::of(Path::new("/no/such/file")).is_err());
    }
}
