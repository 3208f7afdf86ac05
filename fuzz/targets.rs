//! What is fuzzed: one function for each border where bytes come in from outside. Whatever the
//! bytes, none panics, hangs or takes more memory than its limits say, and what it lets through is
//! as its documentation says.
//!
//! libFuzzer runs them through `fuzz_targets`, and `tests/it/fuzz.rs` runs a short round of each.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use prost::Message;
use tempfile::NamedTempFile;
use veriframe::claims::{Claim, Limits as ClaimLimits, Polarity, contrasts, cues, polarity, split};
use veriframe::models::clip::{ClipConfig, ClipTokenizer};
use veriframe::models::inspect::inspect;
use veriframe::models::pickle::{Limits as PickleLimits, Pickle, TorchFile};
use veriframe::models::weights::Weights;
use veriframe::proto::inference::ModelInferRequest;
use veriframe::server::oip::tensors::read_inputs;
use veriframe::serving::tensor::Content;
use veriframe::verification::temporal::{
    Change, Closing, Event, Evidence, Frame, Rules, Thresholds, Time, Verdict, Verdicts,
};
use veriframe::vision::image::{Limits as ImageLimits, RawFormat, decode, from_raw};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Longer inputs say nothing more.
pub const MAX_LEN: usize = 8192;

/// One of them.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// Runs it on one input; panics where something is wrong.
    pub run: fn(&[u8]),
    /// A folder of the repository with inputs to start from, beside its corpus.
    pub seeds: Option<&'static str>,
}

/// All of them.
pub const ALL: [Target; 14] = [
    Target { name: "image", run: image, seeds: Some("tests/golden/pictures") },
    Target { name: "raw", run: raw, seeds: None },
    Target { name: "pickle", run: pickle, seeds: None },
    Target { name: "archive", run: checkpoint, seeds: None },
    Target { name: "safetensors", run: checkpoint, seeds: None },
    Target { name: "text", run: text, seeds: None },
    Target { name: "claims", run: claims, seeds: None },
    Target { name: "tokenizer", run: tokenizer, seeds: None },
    Target { name: "stream", run: stream, seeds: None },
    Target { name: "verdicts", run: verdicts, seeds: None },
    Target { name: "tensors", run: tensors, seeds: None },
    Target { name: "jsonl", run: jsonl, seeds: None },
    Target { name: "filters", run: filters, seeds: None },
    Target { name: "evidence", run: evidence, seeds: None },
];

/// A picture in any of the formats, found by its content.
pub fn image(data: &[u8]) {
    let limits = ImageLimits { max_bytes: 1 << 16, max_side_px: 2048, max_pixels: 1 << 20 };
    if let Ok(picture) = decode(data, &limits) {
        let (width, height) = (picture.width(), picture.height());
        assert!((1..=limits.max_side_px).contains(&width), "{width} px wide");
        assert!((1..=limits.max_side_px).contains(&height), "{height} px high");
        assert_eq!(picture.pixels().len(), width as usize * height as usize * 3);
    }
}

/// Bare pixels. The first byte tells the format and whether the bytes are as many as they should
/// be; then come width, height and stride.
pub fn raw(data: &[u8]) {
    const FORMATS: [RawFormat; 5] =
        [RawFormat::Rgb8, RawFormat::Bgr8, RawFormat::Gray8, RawFormat::Nv12, RawFormat::I420];
    let limits = ImageLimits { max_bytes: 1 << 16, max_side_px: 2048, max_pixels: 1 << 20 };
    let Some((head, body)) = data.split_at_checked(13) else { return };
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let format = FORMATS[usize::from(head[0] & 0x7f) % FORMATS.len()];
    let (width, height, stride) = (number(1), number(5), number(9));
    if head[0] & 0x80 == 0 {
        if let Ok(picture) = from_raw(format, (width, height), stride, body, &limits) {
            assert_eq!((picture.width(), picture.height()), (width, height));
        }
        return;
    }
    let (width, height, padding) = (width % 65 + 1, height % 65 + 1, stride % 9);
    let row = if matches!(format, RawFormat::Rgb8 | RawFormat::Bgr8) { 3 * width } else { width };
    let stride = row + padding;
    let chroma = match format {
        RawFormat::Rgb8 | RawFormat::Bgr8 | RawFormat::Gray8 => 0,
        RawFormat::Nv12 | RawFormat::I420 => 2 * stride.div_ceil(2) * height.div_ceil(2),
    };
    let mut pixels = body.to_vec();
    pixels.resize((stride * height + chroma) as usize, 0x80);
    let told = if padding == 0 { 0 } else { stride };
    let picture = from_raw(format, (width, height), told, &pixels, &limits);
    let picture = picture.expect("the bytes are as many as the format needs");
    assert_eq!(picture.pixels().len(), (width * height * 3) as usize);
}

/// A pickle: by itself, and as that of a `.pt` file whose two storages are there.
pub fn pickle(data: &[u8]) {
    let limits = PickleLimits {
        pickle_bytes: 1 << 16,
        storage_bytes: 1 << 16,
        operations: 10_000,
        stack: 1000,
        memo: 1000,
        modules: 1000,
        ..PickleLimits::default()
    };
    let Ok(pickle) = Pickle::read(data, &limits) else { return };
    assert!(!pickle.describe(pickle.root()).is_empty());
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let storage = [7; 64];
    for (name, bytes) in [("a/data.pkl", data), ("a/data/0", &storage), ("a/data/1", &storage)] {
        archive.start_file(name, stored).expect("an archive in memory takes a file");
        archive.write_all(bytes).expect("memory takes bytes");
    }
    let archive = archive.finish().expect("an archive in memory closes").into_inner();
    with_file(&archive, |path| {
        let mut file = TorchFile::open(path, &limits).expect("the pickle was read before");
        let root = file.pickle().root();
        let pairs = file.pickle().pairs(root).unwrap_or_default().to_vec();
        let places = pairs.into_iter().take(8).map(|(_, value)| value).chain([root]);
        for place in places {
            for tensors in [file.state_dict(place), file.module(place)].into_iter().flatten() {
                // Reads every element.
                for tensor in tensors.values() {
                    std::hint::black_box(tensor.sum(tch::Kind::Double).double_value(&[]));
                }
            }
        }
        drop(inspect(path));
    });
}

/// A checkpoint file: safetensors or an archive, told apart by its first bytes.
pub fn checkpoint(data: &[u8]) {
    with_file(data, |path| {
        drop(Weights::open_safetensors(path));
        drop(inspect(path));
    });
}

/// A text to embed.
pub fn text(data: &[u8]) {
    static TOKENIZER: OnceLock<(ClipTokenizer, usize)> = OnceLock::new();
    let (tokenizer, context) = TOKENIZER.get_or_init(|| {
        let folder = repository().join("tests/golden/clip/f32");
        let config = ClipConfig::open(&folder.join("config.json")).expect("it is a golden file");
        let tokenizer = ClipTokenizer::open(&folder.join("tokenizer.json"), &config.text);
        let context = config.text.max_position_embeddings as usize;
        (tokenizer.expect("it is a golden file"), context)
    });
    let tokens = tokenizer.encode(&String::from_utf8_lossy(data));
    assert!((2..=*context).contains(&tokens.ids.len()), "{tokens:?}");
    assert_eq!(tokens.ids.last(), Some(&tokenizer.end_token()));
    assert!(tokens.ids.iter().all(|id| (0..614).contains(id)), "{tokens:?}");
    assert_eq!(tokens.truncated, tokens.tokens_before > *context);
}

/// An answer, and a request with cues. Spans lie in order on the borders of characters, the limits
/// hold, and what a claim is compared with is another text.
pub fn claims(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let limits = ClaimLimits { max_claims: 64, max_contrasts: 4, ..ClaimLimits::default() };
    let lies = |end: usize, span: &std::ops::Range<usize>| {
        assert!(end <= span.start && span.start < span.end && span.end <= text.len(), "{span:?}");
        assert!(text.get(span.clone()).is_some(), "{span:?} cuts a character");
        span.end
    };
    if let Ok(found) = cues(&text, &limits) {
        assert!(found.len() <= limits.max_cues);
        assert!(found.iter().all(|cue| cue.text.chars().any(char::is_alphabetic)), "{found:?}");
        found.iter().fold(0, |end, cue| lies(end, &cue.span));
    }
    let Ok(found) = split(&text, &limits) else { return };
    assert!(found.len() <= limits.max_claims);
    found.iter().fold(0, |end, claim| lies(end, &claim.span));
    let before: Option<&Claim> = None;
    found.iter().fold(before, |before, claim| {
        let formed = contrasts(&claim.text, claim.language, limits.max_contrasts);
        assert!(formed.len() <= limits.max_contrasts);
        assert!(formed.iter().all(|formed| formed.text != claim.text), "{formed:?}");
        // What a claim says is never on the other side of itself.
        assert_ne!(polarity(claim, claim), Polarity::OppositeSide, "{claim:?}");
        if let Some(before) = before {
            std::hint::black_box(polarity(before, claim));
        }
        Some(claim)
    });
}

/// A `tokenizer.json`, and a few texts for it.
pub fn tokenizer(data: &[u8]) {
    with_file(data, |path| {
        let folder = repository().join("tests/golden/clip/f32");
        let config = ClipConfig::open(&folder.join("config.json")).expect("it is a golden file");
        let Ok(tokenizer) = ClipTokenizer::open(path, &config.text) else { return };
        for text in ["", "a photo of a face", "이가 고르지 않은 얼굴 🙂", "<|endoftext|>\0\u{301}"]
        {
            let tokens = tokenizer.encode(text);
            assert_eq!(tokens.ids.last(), Some(&tokenizer.end_token()));
        }
    });
}

/// What happens in a stream: frames come, their work ends, results are taken, rules change. Each
/// frame gets one result, in order, and every bound holds.
pub fn stream(data: &[u8]) {
    veriframe::server::fuzzing::stream_window(data);
}

/// Verdicts over any frames: 8 bytes of rules, then 16 for each frame. Segments open and close in
/// turn, and the summary agrees with the events.
pub fn verdicts(data: &[u8]) {
    let Some((head, body)) = data.split_first_chunk::<8>() else { return };
    let tens = |byte: u8| Duration::from_millis(10 * u64::from(byte));
    let rules = Rules {
        time_constant: tens(head[0]),
        min_duration: tens(head[1]),
        max_gap: tens(head[2]),
        min_frames: u32::from(head[3] % 8) + 1,
        max_missing: f32::from(head[4]) / 255.0,
        max_segments: usize::from(head[5] % 4),
        frame_interval: (head[6] > 0).then(|| tens(head[6])),
    };
    let thresholds = Thresholds::new(0.5, 0.25).expect("they are apart");
    let mut verdicts = Verdicts::new(rules, &[thresholds; 2]);
    let mut seen = Seen { min_duration: rules.min_duration, ..Seen::default() };
    let (mut sequence, mut time, mut frames) = (0u64, Time(0), 0u64);
    for bytes in body.as_chunks::<16>().0 {
        let [kind, step, a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
        let number = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let score = f32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
        sequence = sequence.saturating_add(u64::from(step & 3));
        time = match kind & 3 {
            0 => Time(number),
            1 => Time(time.0.saturating_sub(i64::from(step) * 10_000_000)),
            2 | 3 => time.after(tens(step)),
            4.. => unreachable!("two bits"),
        };
        let scores = [score, f32::from(rest[4]) / 255.0];
        let evidence = match kind >> 2 & 3 {
            0 => Evidence::Missing,
            1 => Evidence::Reused(&scores),
            _ => Evidence::Scored(&scores[..usize::from(rest[5] % 3)]),
        };
        let presentation = (kind & 0x40 == 0).then_some(time);
        let arrival = Duration::from_millis(number.unsigned_abs());
        seen.events(&verdicts.observe(&Frame { sequence, presentation, arrival, evidence }));
        frames += 1;
        for (prompt, standing) in verdicts.standings().iter().enumerate() {
            let first = standing.segment.map(|segment| segment.first_sequence);
            assert_eq!(seen.open.get(&prompt).copied(), first);
            assert!(first.is_some() || standing.verdict != Verdict::Present);
            assert!(standing.score.is_none_or(f64::is_finite), "{standing:?}");
        }
    }
    seen.events(&verdicts.end(Closing::StreamEnded));
    assert!(seen.open.is_empty());
    for (prompt, summary) in verdicts.summary().prompts.iter().enumerate() {
        assert_eq!(summary.segment_count, seen.closed.get(&prompt).copied().unwrap_or_default());
        assert_eq!(summary.scored + summary.missing, frames);
        assert!(summary.segments.len() <= rules.max_segments);
        assert!(summary.present <= summary.observed);
        assert!(summary.share_present().is_none_or(|share| (0.0..=1.0).contains(&share)));
    }
}

/// A request of the Open Inference Protocol as it comes over the wire: its tensors are whole or the
/// request is refused.
pub fn tensors(data: &[u8]) {
    let Ok(request) = ModelInferRequest::decode(data) else { return };
    let Ok(read) = read_inputs(request.inputs, request.raw_input_contents) else { return };
    for tensor in &read {
        let elements: usize = tensor.shape().iter().product();
        let held = match tensor.content() {
            Content::Numbers(bytes) => {
                let width = tensor.datatype().element_bytes().expect("only texts have no width");
                assert_eq!(bytes.len() % width, 0);
                bytes.len() / width
            }
            Content::Strings(strings) => strings.len(),
        };
        assert_eq!(held, elements, "{tensor:?}");
    }
}

/// A JSONL file of evidence: what is shown of an item that is read is the item.
pub fn jsonl(data: &[u8]) {
    veriframe::cli::fuzzing::evidence_lines(data);
}

/// A filter of evidence over the wire: it can be asked of an index, or is refused by its own path.
pub fn filters(data: &[u8]) {
    veriframe::server::fuzzing::evidence_filter(data);
}

/// Items, searches and options of evidence over the wire: within the limits, or refused.
pub fn evidence(data: &[u8]) {
    veriframe::server::fuzzing::evidence_request(data);
}

/// What the events told, by prompt.
#[derive(Default)]
struct Seen {
    min_duration: Duration,
    /// First frames of open segments.
    open: BTreeMap<usize, u64>,
    closed: BTreeMap<usize, u64>,
}

impl Seen {
    fn events(&mut self, events: &[Event]) {
        for Event { prompt, change, segment } in events {
            assert!(segment.start <= segment.end);
            assert!(segment.first_sequence <= segment.last_sequence);
            assert!((segment.start..=segment.end).contains(&segment.peak.time));
            assert!(segment.duration() >= self.min_duration);
            match change {
                Change::Opened => {
                    assert_eq!(self.open.insert(*prompt, segment.first_sequence), None);
                }
                Change::Closed(_) => {
                    assert_eq!(self.open.remove(prompt), Some(segment.first_sequence));
                    *self.closed.entry(*prompt).or_default() += 1;
                }
            }
        }
    }
}

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if here.ends_with("fuzz") { here.join("..") } else { here.to_owned() }
}

/// The bytes as a file; each thread has one, and overwrites it.
fn with_file(data: &[u8], read: impl FnOnce(&Path)) {
    thread_local! {
        static FILE: NamedTempFile = NamedTempFile::new().expect("there is room for a file");
    }
    FILE.with(|file| {
        std::fs::write(file.path(), data).expect("there is room for a file");
        read(file.path());
    });
}
