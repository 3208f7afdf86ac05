//! TorchScript modules, made here, behind an engine.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tch::{CModule, Device, Kind, Tensor};
use tempfile::TempDir;
use veriframe::engine::Config;
use veriframe::models::torchscript::{Manifest, TorchScriptCheckpoint};
use veriframe::serving::tensor::{Content, Datatype, NamedTensor};
use veriframe::serving::torchscript::TorchScriptService;
use veriframe::serving::{CpuSlots, ModelIdentity, Replicas, ServingError, Terms};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Twice the input and one, and the sums of its rows: X FP32 `[B, 3]`.
pub(crate) const AFFINE: &str = "
    max_batch_size = 4
    inputs = [{ name = 'X', datatype = 'FP32', dims = [3] }]
    outputs = [{ name = 'Y', datatype = 'FP32', dims = [3] },
               { name = 'SUM', datatype = 'FP32', dims = [] }]
";

/// Rows of a table by their index; an index beyond its five rows is an error of libtorch's.
const TABLE: &str = "
    max_batch_size = 8
    inputs = [{ name = 'ROW', datatype = 'INT64', dims = [] }]
    outputs = [{ name = 'VALUE', datatype = 'FP32', dims = [2] }]
";

/// Traces `forward` on `examples` and saves it.
fn trace(file: &Path, examples: &[Tensor], mut forward: impl FnMut(&[Tensor]) -> Vec<Tensor>) {
    let module = CModule::create_by_tracing("Net", "forward", examples, &mut forward).unwrap();
    module.save(file).unwrap();
}

/// Writes a module by its source: a TorchScript file is a zip of that, of a pickle of the module
/// object, here without any attribute, and of its constants.
fn write_source(file: &Path, forward: &str) {
    let source =
        format!("class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n{forward}");
    let mut archive = ZipWriter::new(File::create(file).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let parts: [(&str, &[u8]); 4] = [
        ("net/data.pkl", b"\x80\x02c__torch__\nNet\n)\x81}b."),
        ("net/code/__torch__.py", source.as_bytes()),
        ("net/constants.pkl", b"\x80\x02)."),
        ("net/version", b"3\n"),
    ];
    for (name, bytes) in parts {
        archive.start_file(name, stored).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

/// Writes the module of [`AFFINE`].
pub(crate) fn write_affine(file: &Path) {
    let forward = "  def forward(self: __torch__.Net, x: Tensor) -> Tuple[Tensor, Tensor]:
    y = torch.add(torch.mul(x, 2), 1)
    return (y, torch.sum(x, [1]))
";
    write_source(file, forward);
}

fn write_table(file: &Path) {
    let table = Tensor::arange(10, (Kind::Float, Device::Cpu)).view([5, 2]);
    trace(file, &[Tensor::from_slice(&[0_i64, 1])], |inputs| {
        vec![table.index_select(0, &inputs[0])]
    });
}

struct Served {
    service: TorchScriptService,
    file: PathBuf,
    _folder: TempDir,
}

fn open(file: &Path, manifest: &str) -> TorchScriptCheckpoint {
    let manifest: Manifest = toml::from_str(manifest).unwrap();
    TorchScriptCheckpoint::open(file, manifest).unwrap()
}

fn start(manifest: &str, config: Config, write: impl FnOnce(&Path)) -> Result<Served, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.pt");
    write(&file);
    let checkpoint = open(&file, manifest);
    let identity = ModelIdentity {
        name: "net".to_owned(),
        version: "1".to_owned(),
        checksum: checkpoint.checksum().to_owned(),
    };
    let replicas = Replicas {
        devices: vec![Device::Cpu],
        kind: Kind::Float,
        engine: config,
        warm_up_limit: Duration::ZERO,
        cpu: CpuSlots::new(1),
    };
    let service = TorchScriptService::start(identity, checkpoint, replicas)?;
    Ok(Served { service, file, _folder: folder })
}

/// `[B, 3]` of consecutive numbers from `first`.
fn rows(first: u16, count: usize) -> NamedTensor {
    let values: Vec<f32> = (first..).take(count * 3).map(f32::from).collect();
    NamedTensor::floats("X", &[count, 3], &values)
}

fn floats(tensor: &NamedTensor) -> Vec<f32> {
    assert_eq!(tensor.datatype(), Datatype::Fp32);
    let Content::Numbers(bytes) = tensor.content() else { panic!("{tensor:?}") };
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[tokio::test]
async fn requests_that_ride_together_get_their_own_rows() {
    let served = start(AFFINE, Config::default(), write_affine).unwrap();
    let requests = [(0, 1), (10, 2), (20, 4), (30, 1), (40, 3)].map(|(first, count)| {
        let service = &served.service;
        async move {
            let answer = service.infer(vec![rows(first, count)], Terms::default()).await.unwrap();
            let [y, sum] = answer.outputs.as_slice() else { panic!("{answer:?}") };
            assert_eq!((y.name(), y.shape()), ("Y", &[count, 3][..]));
            assert_eq!((sum.name(), sum.shape()), ("SUM", &[count][..]));
            let expected = (first..).take(count * 3).map(|x| f32::from(x) * 2.0 + 1.0);
            assert_eq!(floats(y), expected.collect::<Vec<f32>>());
            let sums = (0..count).map(|row| 3.0 * (f32::from(first) + 3.0 * row as f32 + 1.0));
            assert_eq!(floats(sum), sums.collect::<Vec<f32>>());
        }
    });
    futures::future::join_all(requests).await;
}

#[tokio::test]
async fn an_input_that_the_module_refuses_fails_itself_alone() {
    // The first item may run alone; those that come meanwhile share a batch.
    let served = Arc::new(start(TABLE, Config::default(), write_table).unwrap());
    let requests = (0..24_i64).map(|at| {
        let served = Arc::clone(&served);
        let row = if at % 3 == 1 { 99 } else { at % 5 };
        async move {
            let input = NamedTensor::integers("ROW", &[1], &[row]);
            let answer = served.service.infer(vec![input], Terms::default()).await;
            (row, answer)
        }
    });
    for (row, answer) in futures::future::join_all(requests).await {
        if row == 99 {
            let error = answer.unwrap_err();
            assert!(matches!(&error, ServingError::Invalid { field, .. } if field == "inputs"));
            let text = error.to_string();
            assert!(text.contains("index out of range"), "{text}");
            assert!(!text.contains('\n'), "{text}");
        } else {
            let value = floats(&answer.unwrap().outputs[0]);
            assert_eq!(value, [row as f32 * 2.0, row as f32 * 2.0 + 1.0]);
        }
    }
}

#[tokio::test]
async fn every_datatype_passes_through_unchanged() {
    for datatype in Datatype::ALL {
        let Some(kind) = datatype.kind() else { continue };
        let manifest = format!(
            "inputs = [{{ name = 'A', datatype = '{datatype}', dims = [-1, 2] }}]
             outputs = [{{ name = 'B', datatype = '{datatype}', dims = [-1, 2] }}]"
        );
        let write = |file: &Path| {
            let example = Tensor::zeros([3, 2], (kind, Device::Cpu));
            trace(file, &[example], |inputs| vec![inputs[0].unsqueeze(0).squeeze_dim(0)]);
        };
        let served = start(&manifest, Config::default(), write).unwrap();
        for rows in [1, 5, 0] {
            let bytes = (0..rows * 2 * datatype.element_bytes().unwrap()).map(|i| (i % 2) as u8);
            let content = Content::Numbers(bytes.collect());
            let input = NamedTensor::new("A", datatype, vec![rows, 2], content.clone()).unwrap();
            let answer = served.service.infer(vec![input], Terms::default()).await.unwrap();
            let expected = NamedTensor::new("B", datatype, vec![rows, 2], content).unwrap();
            assert_eq!(answer.outputs, [expected], "{datatype}");
        }
    }
}

#[tokio::test]
async fn a_module_that_its_manifest_belies_is_an_error_and_not_a_wrong_answer() {
    let check = async |from: &str, to: &str, expected: &str| {
        let manifest = AFFINE.replace(from, to);
        let served = start(&manifest, Config::default(), write_affine).unwrap();
        let answer = served.service.infer(vec![rows(0, 2)], Terms::default()).await;
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let gave = "the module gave output 'SUM' as Float [2], its manifest says";
    check("'SUM', datatype = 'FP32'", "'SUM', datatype = 'INT64'", &format!("{gave} INT64 []"))
        .await;
    let expected = format!("{gave} FP32 [1] after a batch of 2");
    check("'SUM', datatype = 'FP32', dims = []", "'SUM', datatype = 'FP32', dims = [1]", &expected)
        .await;
    let one = "outputs = [{ name = 'Y', datatype = 'FP32', dims = [3] }]";
    let start_of_outputs = AFFINE.find("outputs").unwrap();
    let expected = "the module gave 2 outputs, its manifest has 1";
    check(&AFFINE[start_of_outputs..], one, expected).await;
}

#[test]
fn what_is_no_module_does_not_start() {
    let text = |file: &Path| std::fs::write(file, "no module").unwrap();
    let error = start(AFFINE, Config::default(), text).map(|_| ()).unwrap_err();
    assert!(error.contains("net.pt is no TorchScript module: "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pt");
    let manifest: Manifest = toml::from_str(AFFINE).unwrap();
    let error = TorchScriptCheckpoint::open(&missing, manifest.clone()).unwrap_err().to_string();
    assert!(error.contains("missing.pt: No such file"), "{error}");
    let wrong = Manifest { max_batch_size: 5000, ..manifest };
    let error = TorchScriptCheckpoint::open(&missing, wrong).unwrap_err().to_string();
    assert!(error.contains("missing.pt: max_batch_size is 5000, limit 4096"), "{error}");
}

#[test]
fn a_replica_is_not_rebuilt_from_a_file_that_changed() {
    let served = start(AFFINE, Config::default(), write_affine).unwrap();
    let checkpoint = open(&served.file, AFFINE);
    assert!(checkpoint.build(Device::Cpu).is_ok());
    write_table(&served.file);
    let error = checkpoint.build(Device::Cpu).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("has changed since it was opened"), "{error}");
}
