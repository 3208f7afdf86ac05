//! TorchScript modules behind an engine: tensors to tensors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tch::{Device, Tensor};

use super::build::Replicas;
use super::clip::StageTiming;
use super::stages::record_device;
use super::tensor::{Content, NamedTensor, TensorSpec};
use super::{Depth, Health, ModelIdentity, ServingError, Terms};
use crate::engine::{
    self, BatchModel, Completed, DeviceError, Engine, EngineError, ItemError, Timing,
};
use crate::models::torchscript::{ForwardError, Manifest, Module, TorchScriptCheckpoint};

/// A module's outputs, and the time on the way.
#[derive(Clone, Debug)]
pub struct ModuleAnswer {
    /// As the manifest lists them.
    pub outputs: Vec<NamedTensor>,
    /// Time on the way.
    pub timing: StageTiming,
}

/// A served TorchScript module; cheap to clone.
#[derive(Clone)]
pub struct TorchScriptService {
    identity: ModelIdentity,
    manifest: Manifest,
    engine: Engine<ModuleWorker>,
}

impl TorchScriptService {
    /// Builds every replica, each in a thread of its own, and warms it where the manifest says all
    /// shapes; returns when all are ready. The kind in `replicas` does not matter: a module has its
    /// own.
    pub fn start(
        identity: ModelIdentity,
        checkpoint: TorchScriptCheckpoint,
        replicas: Replicas,
    ) -> Result<Self, String> {
        let manifest = checkpoint.manifest.clone();
        // A module without a batch runs its items one by one; none should wait for another's answer.
        let max_batch = replicas.engine.max_batch.min(manifest.max_batch_size.max(1));
        let replicas = Replicas {
            engine: engine::Config { max_batch, ..replicas.engine.clone() },
            ..replicas
        };
        let (checkpoint, sampled) = (Arc::new(checkpoint), manifest.clone());
        let build = move |device| ModuleWorker::build(&checkpoint, device);
        let engine =
            replicas.start(build, move || ModuleInput::sample(&sampled).into_iter().collect())?;
        Ok(Self { identity, manifest, engine })
    }

    /// Which weights answer.
    pub fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// Its tensors.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How long a request may wait for others to join its run.
    pub fn batch_wait(&self) -> Duration {
        self.engine.config().max_batch_wait
    }

    /// What waits and runs.
    pub fn depth(&self) -> Depth {
        self.engine.depth()
    }

    /// How the replicas fare.
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// Answers what is queued, then stops the workers; at most `limit` long.
    pub async fn drain(&self, limit: Duration) {
        let left = self.engine.drain(limit).await;
        if left > 0 {
            tracing::warn!(model = %self.identity.name, left, "jobs were left unanswered");
        }
    }

    /// Runs the module on `inputs`, in any order. Names, kinds and shapes are checked before they
    /// wait for the device.
    ///
    /// Errors: [`ServingError::Invalid`] for inputs that the manifest does not say, and for those
    /// that the module itself refuses.
    pub async fn infer(
        &self,
        inputs: Vec<NamedTensor>,
        terms: Terms,
    ) -> Result<ModuleAnswer, ServingError> {
        let input = ModuleInput::new(&self.manifest, &inputs)?;
        let submitted = Instant::now();
        let result = self.engine.submit(input, terms).await;
        let Completed { output, timing } = result.map_err(|error| {
            if let EngineError::Item(reason) = error {
                return ServingError::invalid("inputs", reason);
            }
            ServingError::from_engine(&self.identity.name, error)
        })?;
        record_device(&self.identity.name, submitted, &timing, Duration::ZERO);
        let Timing { queue, run, batch } = timing;
        let timing = StageTiming { queue, inference: run, batch, ..StageTiming::default() };
        let specs = self.manifest.outputs.iter().zip(output);
        let outputs = specs.map(|(spec, HostOutput { shape, data })| {
            NamedTensor::new(spec.name.clone(), spec.datatype, shape, Content::Numbers(data))
        });
        let outputs = outputs
            .collect::<Result<_, _>>()
            .map_err(|reason| ServingError::Failed { model: self.identity.name.clone(), reason })?;
        Ok(ModuleAnswer { outputs, timing })
    }
}

/// What the device thread is asked: the manifest's inputs, in its order.
#[derive(Clone, Debug)]
pub struct ModuleInput {
    tensors: Vec<NamedTensor>,
    /// Rows of each tensor; 1 where the module is not batched.
    rows: usize,
}

impl ModuleInput {
    /// Checks `inputs` against the manifest.
    fn new(manifest: &Manifest, inputs: &[NamedTensor]) -> Result<Self, ServingError> {
        let wrong = |reason: String| ServingError::invalid("inputs", reason);
        if let Some(unknown) =
            inputs.iter().find(|tensor| manifest.inputs.iter().all(|s| s.name != tensor.name()))
        {
            let known: Vec<&str> = manifest.inputs.iter().map(|spec| spec.name.as_str()).collect();
            let (name, known) = (unknown.name(), known.join(", "));
            return Err(wrong(format!("'{name}' is no input; there is {known}")));
        }
        let mut tensors = Vec::with_capacity(manifest.inputs.len());
        let mut rows = None;
        for spec in &manifest.inputs {
            let tensor = inputs.iter().find(|tensor| tensor.name() == spec.name);
            let tensor = tensor.ok_or_else(|| wrong(format!("'{}' is missing", spec.name)))?;
            let own = Self::rows_of(manifest, spec, tensor)?;
            if *rows.get_or_insert(own) != own {
                let first = rows.unwrap_or_default();
                let name = &spec.name;
                return Err(wrong(format!("'{name}' has {own} rows, the first input has {first}")));
            }
            tensors.push(tensor.clone());
        }
        Ok(Self { tensors, rows: rows.unwrap_or(1) })
    }

    /// An input of zeros, where the manifest says the size of every side.
    fn sample(manifest: &Manifest) -> Option<Self> {
        let zeros = |spec: &TensorSpec| {
            let sides = spec.dims.iter().map(|dim| usize::try_from(*dim).ok());
            let batch = manifest.is_batched().then_some(Some(1));
            let shape: Vec<usize> = batch.into_iter().chain(sides).collect::<Option<_>>()?;
            let elements = shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side))?;
            let bytes = elements.checked_mul(spec.datatype.element_bytes()?)?;
            let content = Content::Numbers(vec![0; bytes].into());
            NamedTensor::new(spec.name.clone(), spec.datatype, shape, content).ok()
        };
        let tensors = manifest.inputs.iter().map(zeros).collect::<Option<_>>()?;
        Some(Self { tensors, rows: 1 })
    }

    fn rows_of(
        manifest: &Manifest,
        spec: &TensorSpec,
        tensor: &NamedTensor,
    ) -> Result<usize, ServingError> {
        let wrong = |expected: &str| {
            let (name, datatype, shape) = (tensor.name(), tensor.datatype(), tensor.shape());
            let reason = format!("'{name}' expects {spec}{expected}, got {datatype} {shape:?}");
            Err(ServingError::invalid("inputs", reason))
        };
        if !manifest.is_batched() {
            let fits = tensor.datatype() == spec.datatype && spec.fits(tensor.shape());
            return if fits { Ok(1) } else { wrong("") };
        }
        let limit = manifest.max_batch_size;
        match tensor.shape().split_first() {
            Some((rows, inner))
                if (1..=limit).contains(rows)
                    && spec.fits(inner)
                    && tensor.datatype() == spec.datatype =>
            {
                Ok(*rows)
            }
            _ => wrong(&format!(" after a batch of 1 to {limit}")),
        }
    }

    /// The shape of a row of each tensor.
    fn row_shapes(&self) -> Vec<Vec<usize>> {
        let row = |tensor: &NamedTensor| tensor.shape().get(1..).unwrap_or_default().to_vec();
        self.tensors.iter().map(row).collect()
    }
}

/// One output on the host.
#[derive(Clone, Debug)]
pub struct HostOutput {
    shape: Vec<usize>,
    /// Little-endian elements.
    data: Bytes,
}

impl HostOutput {
    fn of(tensor: &Tensor) -> Result<Self, ForwardError> {
        let shape = tensor.size().iter().map(|side| *side as usize).collect();
        let elements = tensor.numel();
        let mut data = vec![0; elements * tensor.f_kind()?.elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut data, elements)?;
        Ok(Self { shape, data: data.into() })
    }

    /// `count` of its rows, from `first` on; without a copy.
    fn rows(&self, first: usize, count: usize) -> Self {
        let all = self.shape.first().copied().unwrap_or(1).max(1);
        let row_bytes = self.data.len() / all;
        let mut shape = self.shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows = count;
        }
        Self { shape, data: self.data.slice(first * row_bytes..(first + count) * row_bytes) }
    }
}

/// The module in its device thread.
pub struct ModuleWorker {
    module: Module,
}

impl ModuleWorker {
    fn build(checkpoint: &TorchScriptCheckpoint, device: Device) -> Result<Self, DeviceError> {
        let module = checkpoint.build(device).map_err(|error| DeviceError(error.to_string()))?;
        Ok(Self { module })
    }

    /// One run for all of `items`, at least one; one list of outputs for each.
    fn together(&self, items: &[ModuleInput]) -> Result<Vec<Vec<HostOutput>>, ForwardError> {
        let joined = |at: usize| {
            let parts = items.iter().map(|item| on_cpu(&item.tensors[at]));
            let parts = parts.collect::<Result<Vec<Tensor>, ForwardError>>()?;
            if items.len() == 1 {
                // A tensor without sides cannot be joined, and one alone need not be.
                return Ok(parts.into_iter().collect());
            }
            Ok(vec![Tensor::f_cat(&parts, 0)?])
        };
        let inputs: Result<Vec<Vec<Tensor>>, ForwardError> =
            (0..self.module.manifest().inputs.len()).map(joined).collect();
        let inputs: Vec<Tensor> = inputs?.into_iter().flatten().collect();
        let rows = items.iter().map(|item| item.rows).sum();
        let outputs = self.module.forward(&inputs, rows)?;
        let outputs: Result<Vec<HostOutput>, _> = outputs.iter().map(HostOutput::of).collect();
        let outputs = outputs?;
        if items.len() == 1 {
            return Ok(vec![outputs]);
        }
        let firsts = items.iter().scan(0, |next, item| {
            let first = *next;
            *next += item.rows;
            Some((first, item.rows))
        });
        let parts = firsts
            .map(|(first, count)| outputs.iter().map(|output| output.rows(first, count)).collect());
        Ok(parts.collect())
    }

    /// Runs `items` together and, where that fails, each alone: a bad one fails itself only.
    fn group(&self, items: &[ModuleInput], results: &mut Results) -> Result<(), DeviceError> {
        match self.together(items) {
            Ok(outputs) => results.extend(outputs.into_iter().map(Ok)),
            Err(ForwardError::Device(reason)) => return Err(DeviceError(reason)),
            Err(ForwardError::Input(reason)) if items.len() <= 1 => {
                results.push(Err(ItemError(reason)));
            }
            Err(ForwardError::Input(_)) => {
                for item in items.chunks(1) {
                    self.group(item, results)?;
                }
            }
        }
        Ok(())
    }
}

/// One answer an item.
type Results = Vec<Result<Vec<HostOutput>, ItemError>>;

impl BatchModel for ModuleWorker {
    type Input = ModuleInput;
    /// As the manifest lists them.
    type Output = Vec<HostOutput>;
    /// Requests whose rows have equal shapes share a batch. (Of a module without a batch every
    /// batch holds one item, whatever its key.)
    type Key = Vec<Vec<usize>>;

    fn key(input: &ModuleInput) -> Self::Key {
        input.row_shapes()
    }

    fn bytes(input: &ModuleInput) -> usize {
        let bytes = |tensor: &NamedTensor| match tensor.content() {
            Content::Numbers(bytes) => bytes.len(),
            Content::Strings(strings) => strings.iter().map(Bytes::len).sum(),
        };
        input.tensors.iter().map(bytes).sum()
    }

    fn duplicate(input: &ModuleInput) -> Option<ModuleInput> {
        Some(input.clone())
    }

    fn run(&mut self, batch: Vec<ModuleInput>) -> Result<Results, DeviceError> {
        let limit = self.module.manifest().max_batch_size.max(1);
        let mut results = Vec::with_capacity(batch.len());
        let mut rest = batch.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest, limit));
            self.group(now, &mut results)?;
            rest = later;
        }
        Ok(results)
    }
}

/// How many of the first items have at most `limit` rows together; at least one.
fn fitting(items: &[ModuleInput], limit: usize) -> usize {
    let sums = items.iter().scan(0, |rows, item| {
        *rows += item.rows;
        Some(*rows)
    });
    sums.take_while(|rows| *rows <= limit).count().max(1)
}

/// A tensor of libtorch's on the CPU; the content is copied.
fn on_cpu(tensor: &NamedTensor) -> Result<Tensor, ForwardError> {
    let shape: Vec<i64> = tensor.shape().iter().map(|side| *side as i64).collect();
    match (tensor.content(), tensor.datatype().kind()) {
        (Content::Numbers(bytes), Some(kind)) => Ok(Tensor::f_from_data_size(bytes, &shape, kind)?),
        (Content::Strings(_), _) | (_, None) => {
            let datatype = tensor.datatype();
            Err(ForwardError::Input(format!("'{}' is {datatype}", tensor.name())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        toml::from_str(text).unwrap()
    }

    fn floats(name: &str, shape: &[usize]) -> NamedTensor {
        NamedTensor::floats(name, shape, &vec![0.0; shape.iter().product()])
    }

    const BATCHED: &str = "
        max_batch_size = 4
        inputs = [{ name = 'A', datatype = 'FP32', dims = [3] },
                  { name = 'B', datatype = 'FP32', dims = [-1, 2] }]
        outputs = [{ name = 'Y', datatype = 'FP32', dims = [] }]
    ";

    #[test]
    fn inputs_are_put_in_the_manifests_order() {
        let given = vec![floats("B", &[2, 5, 2]), floats("A", &[2, 3])];
        let input = ModuleInput::new(&manifest(BATCHED), &given).unwrap();
        assert_eq!(input.tensors.iter().map(NamedTensor::name).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!((input.rows, ModuleWorker::key(&input)), (2, vec![vec![3], vec![5, 2]]));
        assert_eq!(ModuleWorker::bytes(&input), (2 * 3 + 2 * 5 * 2) * 4);
    }

    #[test]
    fn wrong_inputs_are_refused_with_what_was_expected_and_what_came() {
        let check = |manifest: &Manifest, given: Vec<NamedTensor>, expected: &str| {
            let error = ModuleInput::new(manifest, &given).unwrap_err().to_string();
            assert_eq!(error, format!("inputs: {expected}"));
        };
        let batched = manifest(BATCHED);
        let (a, b) = (floats("A", &[2, 3]), floats("B", &[2, 5, 2]));
        check(&batched, vec![a.clone()], "'B' is missing");
        check(
            &batched,
            vec![a.clone(), b.clone(), floats("C", &[1])],
            "'C' is no input; there is A, B",
        );
        let expected = "'A' expects FP32 [3] after a batch of 1 to 4, got";
        for (shape, got) in [(&[2][..], "[2]"), (&[5, 3], "[5, 3]"), (&[0, 3], "[0, 3]")] {
            let given = vec![floats("A", shape), b.clone()];
            check(&batched, given, &format!("{expected} FP32 {got}"));
        }
        let ids = NamedTensor::integers("A", &[2, 3], &[0; 6]);
        check(&batched, vec![ids, b], &format!("{expected} INT64 [2, 3]"));
        let given = vec![a, floats("B", &[1, 5, 2])];
        check(&batched, given, "'B' has 1 rows, the first input has 2");
        let whole = manifest(&BATCHED.replace("max_batch_size = 4", ""));
        check(&whole, vec![floats("A", &[2, 3])], "'A' expects FP32 [3], got FP32 [2, 3]");
    }

    #[test]
    fn a_run_holds_as_many_items_as_the_module_takes_rows() {
        let item = |rows| ModuleInput { tensors: Vec::new(), rows };
        let items = [2, 1, 2, 4].map(item);
        assert_eq!(fitting(&items, 4), 2);
        assert_eq!(fitting(&items[2..], 4), 1);
        assert_eq!(fitting(&items[3..], 1), 1);
    }

    #[test]
    fn rows_are_cut_from_a_batch() {
        let whole = HostOutput { shape: vec![3, 2], data: Bytes::from_static(b"aabbcc") };
        let part = whole.rows(1, 2);
        assert_eq!((part.shape.as_slice(), part.data.as_ref()), (&[2, 2][..], &b"bbcc"[..]));
    }
}
