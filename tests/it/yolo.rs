//! The detector against what ultralytics finds with the same weights (`tests/golden/yolo.py`), and
//! against checkpoints that mean harm.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};
use tempfile::TempDir;
use veriframe::models::weights::Weights;
use veriframe::models::yolo::{BatchNorm, Yolo, YoloCheckpoint};
use veriframe::vision::boxes::{Candidate, NmsOptions, Rect, nms};
use veriframe::vision::image::Rgb8;
use veriframe::vision::letterbox::{Padding, letterbox};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Head outputs may differ by this share of the level's largest one.
const RAW_TOLERANCE: f64 = 1e-3;
/// Edges may differ by this much, in pixels of the picture.
const EDGE_TOLERANCE_PX: f32 = 0.5;
const CONFIDENCE_TOLERANCE: f32 = 1e-3;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/yolo")
}

fn options() -> NmsOptions {
    NmsOptions { min_confidence: 0.25, iou_threshold: 0.45, ..NmsOptions::default() }
}

/// A checkpoint with what ultralytics found by it.
struct Golden {
    folder: PathBuf,
    net: Yolo,
    expected: BTreeMap<String, Tensor>,
    /// Side of the square that pictures are fitted into.
    side_px: u32,
    /// Every how many of the head's values are kept.
    step: i64,
}

impl Golden {
    fn open(folder: &Path, name: &str) -> Self {
        let checkpoint = YoloCheckpoint::open(&folder.join(format!("{name}.pt"))).unwrap();
        let net = checkpoint.build(Device::Cpu, Kind::Float, BatchNorm::Fused).unwrap();
        let file = Weights::open_safetensors(&folder.join(format!("{name}.safetensors"))).unwrap();
        let side_px = file.metadata()["imgsz"].parse().unwrap();
        let step = file.metadata()["step"].parse().unwrap();
        let expected = file.tensors().into_iter().collect();
        Self { folder: folder.to_owned(), net, expected, side_px, step }
    }

    fn pictures(&self) -> Vec<String> {
        let names = self.expected.keys().filter_map(|key| key.strip_suffix(".rect"));
        names.map(str::to_owned).collect()
    }

    /// Largest difference of each level's raw output, as a share of its largest value.
    fn raw_differences(&self, picture: &str) -> Vec<f64> {
        let input = &self.expected[&format!("{picture}.input")];
        let input = (input.to_kind(Kind::Float) / 255.0).permute([2, 0, 1]).unsqueeze(0);
        let levels = tch::no_grad(|| self.net.raw(&input));
        let compare = |(i, level): (usize, &Tensor)| {
            let expected = &self.expected[&format!("{picture}.raw.{i}")];
            let ours = level.flatten(0, -1).slice(0, 0, None, self.step);
            assert_eq!(ours.size(), expected.size());
            let difference = (ours - expected).abs().max().double_value(&[]);
            difference / expected.abs().max().double_value(&[])
        };
        levels.iter().enumerate().map(compare).collect()
    }

    /// Which share of our letterboxed picture's values is not as expected.
    fn input_difference(&self, picture: &str) -> f64 {
        let padding = Padding::Minimal { stride: 32 };
        let (ours, _) = letterbox(&self.picture(picture), self.side_px, padding);
        let expected = &self.expected[&format!("{picture}.input")];
        let size = [i64::from(ours.height()), i64::from(ours.width()), 3];
        assert_eq!(expected.size(), size);
        let differs = Tensor::from_slice(ours.pixels()).view(size).not_equal_tensor(expected);
        differs.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
    }

    /// What we find in a picture, from its file on.
    fn detections(&self, picture: &str, padding: Padding) -> Vec<Candidate> {
        let image = self.picture(picture);
        let (boxed, fit) = letterbox(&image, self.side_px, padding);
        let mut found = nms(&candidates(&self.net, &boxed), &options());
        for detection in &mut found {
            detection.rect = fit.to_source(detection.rect);
        }
        found
    }

    fn picture(&self, name: &str) -> Rgb8 {
        let image = image::open(self.folder.join(format!("{name}.png"))).unwrap().to_rgb8();
        Rgb8::new(image.width(), image.height(), image.into_raw()).unwrap()
    }

    fn expected_detections(&self, picture: &str, padding: &str) -> Vec<Candidate> {
        let rows = &self.expected[&format!("{picture}.{padding}")];
        let rows = Vec::<Vec<f32>>::try_from(rows).unwrap();
        let candidate = |row: Vec<f32>| Candidate {
            rect: Rect::new(row[0], row[1], row[2], row[3]),
            confidence: row[4],
            class: row[5] as usize,
        };
        rows.into_iter().map(candidate).collect()
    }
}

/// Each cell's best class.
fn candidates(net: &Yolo, image: &Rgb8) -> Vec<Candidate> {
    let size = [i64::from(image.height()), i64::from(image.width()), 3];
    let pixels = Tensor::from_slice(image.pixels()).view(size).permute([2, 0, 1]).unsqueeze(0);
    let pixels = pixels.to_kind(Kind::Float) / 255.0;
    let decoded = tch::no_grad(|| net.decode(&net.raw(&pixels))).get(0);
    let (confidence, class) = decoded.slice(1, 4, None, 1).max_dim(1, false);
    let rows = Vec::<Vec<f32>>::try_from(decoded.narrow(1, 0, 4)).unwrap();
    let confidence = Vec::<f32>::try_from(confidence).unwrap();
    let class = Vec::<i64>::try_from(class).unwrap();
    let all = rows.into_iter().zip(confidence).zip(class);
    all.map(|((row, confidence), class)| Candidate {
        rect: Rect::new(row[0], row[1], row[2], row[3]),
        confidence,
        class: class as usize,
    })
    .collect()
}

/// The largest differences of edges (px) and confidences between two sets of the same detections.
fn compare(ours: &[Candidate], expected: &[Candidate]) -> Result<(f32, f32), String> {
    let edges = |a: &Rect, b: &Rect| {
        [a.x1 - b.x1, a.y1 - b.y1, a.x2 - b.x2, a.y2 - b.y2]
            .map(f32::abs)
            .into_iter()
            .fold(0.0, f32::max)
    };
    let mut left: Vec<&Candidate> = ours.iter().collect();
    let mut worst = (0.0f32, 0.0f32);
    for wanted in expected {
        let same = left.iter().enumerate().filter(|(_, found)| found.class == wanted.class);
        let nearest = same
            .map(|(i, found)| {
                let sureness = (found.confidence - wanted.confidence).abs();
                (edges(&found.rect, &wanted.rect), sureness, i)
            })
            .min_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1)));
        let Some((edge, sureness, i)) = nearest else {
            return Err(format!("{wanted:?} was not found"));
        };
        if edge > EDGE_TOLERANCE_PX || sureness > CONFIDENCE_TOLERANCE {
            return Err(format!("{wanted:?} was found as {:?}", left[i]));
        }
        left.remove(i);
        worst = (worst.0.max(edge), worst.1.max(sureness));
    }
    match left.first() {
        None => Ok(worst),
        Some(surplus) => Err(format!("{surplus:?} is not expected")),
    }
}

/// Checks everything that `name` has golden values of, and tells the largest differences, a line
/// for each comparison.
fn check(folder: &Path, name: &str) -> String {
    let golden = Golden::open(folder, name);
    let paddings = [("rect", Padding::Minimal { stride: 32 }), ("square", Padding::Square)];
    let (mut report, mut wrong) = (Vec::new(), Vec::new());
    for picture in golden.pictures() {
        let input = golden.input_difference(&picture);
        let share = 100.0 * input;
        report.push(format!("{name} {picture}: {share:.2} % of the input's values differ"));
        let raw = golden.raw_differences(&picture);
        let worst = raw.iter().copied().max_by(f64::total_cmp).unwrap();
        report.push(format!(
            "{name} {picture}: head levels differ by {worst:.1e} of their largest value"
        ));
        if worst > RAW_TOLERANCE {
            wrong.push(format!("{picture}: head differs by {raw:?}"));
        }
        for (label, padding) in paddings {
            let ours = golden.detections(&picture, padding);
            let expected = golden.expected_detections(&picture, label);
            match compare(&ours, &expected) {
                Ok((edge, confidence)) => report.push(format!(
                    "{name} {picture} {label}: {} detections, edges within {edge:.4} px, \
                     confidences within {confidence:.1e}",
                    expected.len()
                )),
                Err(reason) => wrong.push(format!(
                    "{picture} {label}: {} of {} detections: {reason}",
                    ours.len(),
                    expected.len()
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    report.join("\n")
}

#[test]
fn a_tiny_checkpoint_of_ultralytics_finds_what_ultralytics_finds() {
    println!("{}", check(&golden(), "tiny"));
}

/// How to make the folder: `tests/golden/yolo.py --full`.
#[test]
fn yolo_full_size_checkpoints_find_what_ultralytics_finds() {
    let Some(folder) = std::env::var_os("VERIFRAME_PARITY").map(PathBuf::from) else {
        println!("SKIPPED: VERIFRAME_PARITY names no folder with full-size checkpoints");
        return;
    };
    for name in ["yolov8n", "yolov8s"] {
        println!("{}", check(&folder, name));
    }
}

#[test]
fn a_checkpoint_tells_its_size_and_its_classes() {
    let checkpoint = YoloCheckpoint::open(&golden().join("tiny.pt")).unwrap();
    let config = &checkpoint.config;
    assert_eq!(config.classes, ["face", "eye", "ear", "nose", "mouth", "glasses"]);
    assert_eq!(config.widths, [8, 8, 16, 16, 16]);
    assert_eq!(config.depths, [1, 2, 2, 1, 1, 1, 1, 1]);
}

#[test]
fn a_checkpoint_can_be_kept_as_safetensors() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tiny.safetensors");
    let mut weights = YoloCheckpoint::open(&golden().join("tiny.pt")).unwrap().into_weights();
    weights.set_metadata("names", r#"["face", "eye", "ear", "nose", "mouth", "glasses"]"#);
    weights.set_metadata("imgsz", "90");
    weights.save_safetensors(&path, Kind::Half).unwrap();
    let kept = YoloCheckpoint::open(&path).unwrap();
    assert_eq!((kept.input_px, kept.config.classes[5].as_str()), (96, "glasses"));
    let golden = Golden::open(&golden(), "tiny");
    let net = kept.build(Device::Cpu, Kind::Float, BatchNorm::Fused).unwrap();
    let (image, _) = letterbox(&golden.picture("wide"), 96, Padding::Square);
    assert_eq!(candidates(&net, &image), candidates(&golden.net, &image));
}

/// Writes a `.pt` of this pickle and these storages, and tells why it does not open.
fn refused(pickle: &[u8], storages: &[(&str, &[u8])]) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("harm.pt");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut add = |name: &str, bytes: &[u8]| {
        archive.start_file(name, packed).unwrap();
        archive.write_all(bytes).unwrap();
    };
    add("harm/data.pkl", pickle);
    for (name, bytes) in storages {
        add(name, bytes);
    }
    archive.finish().unwrap();
    YoloCheckpoint::open(&path).unwrap_err().to_string()
}

fn check_refused(pickle: &[u8], storages: &[(&str, &[u8])], expected: &str) {
    let error = refused(pickle, storages);
    assert!(error.contains(expected), "{error}");
}

/// Instructions that push a text.
fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// Instructions that push an integer.
fn int(number: i64) -> Vec<u8> {
    [b"\x8a\x08".as_slice(), &number.to_le_bytes()].concat()
}

/// A state dictionary with one tensor of f32 storage `0`.
fn one_tensor(count: i64, offset: i64, size: &[i64], stride: &[i64]) -> Vec<u8> {
    let tuple = |numbers: &[i64]| {
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| int(*number)).collect();
        [b"(".as_slice(), &numbers, b"t"].concat()
    };
    [
        b"\x80\x02}".to_vec(),
        text("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        int(count),
        b"tQ".to_vec(),
        int(offset),
        tuple(size),
        tuple(stride),
        b"\x89)tRs.".to_vec(),
    ]
    .concat()
}

/// A module with these instructions for each of its parts.
fn module(parameters: &[u8], modules: &[u8]) -> Vec<u8> {
    [
        b"cany\nModule\n)\x81}(".to_vec(),
        text("_parameters"),
        parameters.to_vec(),
        text("_buffers"),
        b"}".to_vec(),
        text("_modules"),
        modules.to_vec(),
        b"ub".to_vec(),
    ]
    .concat()
}

#[test]
fn a_call_in_the_place_of_a_model_is_named_and_not_made() {
    let folder = TempDir::new().unwrap();
    let witness = folder.path().join("witness");
    let command = text(&format!("touch {}", witness.display()));
    let call = [b"cos\nsystem\n".as_slice(), &command, b"\x85R"].concat();
    let model = [b"\x80\x02}".as_slice(), &text("model"), &call, b"s."].concat();
    check_refused(&model, &[], "is a os.system without _parameters, not a module");
    let parameters = [b"}".as_slice(), &text("w"), &call, b"s"].concat();
    let hidden = [b"\x80\x02".as_slice(), &module(&parameters, b"}"), b"."].concat();
    check_refused(&hidden, &[], "'w' is a os.system, not a tensor");
    let state = [b"\x80\x02}".as_slice(), &text("w"), &call, b"s."].concat();
    check_refused(&state, &[], "'w' is a os.system, not a tensor");
    assert!(!witness.exists());
}

#[test]
fn tensors_outside_their_storage_are_refused() {
    let storage: [(&str, &[u8]); 1] = [("harm/data/0", &[0; 16])];
    let check = |pickle: Vec<u8>, expected| check_refused(&pickle, &storage, expected);
    // A tensor that is in order gets past all this, and is no detector.
    check(one_tensor(4, 0, &[2, 2], &[2, 1]), "'model.22.cv3.0.2.bias' is missing");
    check(one_tensor(4, -1, &[2], &[1]), "has offset -1");
    check(one_tensor(4, 3, &[2], &[1]), "has offset 3");
    check(one_tensor(4, 3, &[2], &[-1]), "strides [-1]");
    check(one_tensor(4, 0, &[-2], &[1]), "size [-2]");
    check(one_tensor(4, 0, &[2, 2], &[3, 1]), "strides [3, 1] in 4 elements");
    check(one_tensor(4, 0, &[i64::MAX, 4], &[1, i64::MAX]), "in 4 elements");
    // A few bytes seen as endlessly many.
    check(one_tensor(4, 0, &[1 << 40], &[0]), "in 4 elements");
    check(one_tensor(4, 0, &[2, 2], &[1]), "has 2 sides and 1 strides");
    check(one_tensor(3, 0, &[2], &[1]), "file 'harm/data/0' has 16 bytes, limit 12");
    check(one_tensor(5, 0, &[2], &[1]), "storage 0 has 16 bytes, must be 20");
    check(one_tensor(1 << 50, 0, &[2], &[1]), "bytes of storage");
    check(one_tensor(-4, 0, &[2], &[1]), "unknown length");
    check_refused(&one_tensor(4, 0, &[2], &[1]), &[], "file 'harm/data/0'");
}

#[test]
fn archives_that_unpack_to_too_much_are_refused() {
    let zeros = vec![0; 8 << 20];
    let bomb = one_tensor(2 << 20, 0, &[2], &[1]);
    check_refused(&bomb, &[("harm/data/0", &zeros)], "unpacks to over 64 times its size");
    check_refused(&zeros, &[], "unpacks to over 64 times its size");
    check_refused(&vec![0; 33 << 20], &[], "has 34603008 bytes, limit 33554432");
}

#[test]
fn sizes_that_the_archive_has_not_are_refused_before_anything_is_allocated() {
    const CLAIM: u32 = 3 << 30;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("harm.pt");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let pickle = one_tensor(i64::from(CLAIM / 4), 0, &[2], &[1]);
    for (name, bytes) in [("harm/data.pkl", pickle.as_slice()), ("harm/data/0", &[7; 16])] {
        archive.start_file(name, stored).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
    // Both sizes of the last entry of the directory, which stands before the end's 22 bytes.
    let mut bytes = std::fs::read(&path).unwrap();
    let entry = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    bytes[entry + 20..entry + 24].copy_from_slice(&CLAIM.to_le_bytes());
    bytes[entry + 24..entry + 28].copy_from_slice(&CLAIM.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let error = YoloCheckpoint::open(&path).unwrap_err().to_string();
    let expected =
        format!("file 'harm/data/0' claims {CLAIM} packed bytes, the archive has {}", bytes.len());
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn module_trees_without_an_end_are_refused() {
    // A module that is its own child.
    let own = [
        b"\x80\x02cany\nModule\n)\x81q\x00}(".to_vec(),
        text("_parameters"),
        b"}".to_vec(),
        text("_buffers"),
        b"}".to_vec(),
        text("_modules"),
        [b"}".to_vec(), text("m"), b"h\x00s".to_vec()].concat(),
        b"ub.".to_vec(),
    ]
    .concat();
    check_refused(&own, &[], "modules are nested deeper than the limit 32");
    // Twenty levels, each holding the one below twice: a million modules to visit.
    let mut tree = [b"\x80\x02".to_vec(), module(b"}", b"}")].concat();
    for level in 0..20u8 {
        let twice = [b"}(".as_slice(), text("a").as_slice(), &[b'h', level]].concat();
        let twice = [&twice, text("b").as_slice(), &[b'h', level, b'u']].concat();
        tree.extend([&[b'q', level, b'0'], module(b"}", &twice).as_slice()].concat());
    }
    tree.push(b'.');
    check_refused(&tree, &[], "more modules and tensors than the limit 50000");
}

#[test]
fn files_that_are_cut_or_foreign_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.pt");
    let whole = std::fs::read(golden().join("tiny.pt")).unwrap();
    for length in [0, 3, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = YoloCheckpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains("cut.pt"), "{error}");
    }
    // The old format, a bare pickle.
    std::fs::write(&path, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    assert!(YoloCheckpoint::open(&path).is_err());
    check_refused(b"\x80\x02}.", &[("other/data.pkl", b"\x80\x02}.")], "must be one");
    check_refused(b"\x80\x02}.", &[("harm/byteorder", b"big")], "not little-endian");
    check_refused(b"\x80\x02N.", &[], "is None without _parameters, not a module");
}
