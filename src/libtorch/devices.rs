//! Which devices to compute on, as the operator writes it.

use std::fmt;
use std::str::FromStr;

use tch::Device;

use super::{LibtorchError, load_cuda};

/// A choice of devices; each device named is one replica, so `cpu,cpu` or `cuda:0,cuda:0` are two
/// replicas on one device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// `auto`: every GPU there is, otherwise the CPU. The default.
    #[default]
    Auto,
    /// `cuda`: every GPU there is; none is an error.
    Cuda,
    /// `cpu`, `cuda:1` or a list with commas.
    Listed(Vec<Device>),
}

impl FromStr for DeviceChoice {
    type Err = LibtorchError;

    fn from_str(text: &str) -> Result<Self, LibtorchError> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda),
            list => list
                .split(',')
                .map(|name| device(name.trim()))
                .collect::<Result<_, _>>()
                .map(Self::Listed),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cuda => formatter.write_str("cuda"),
            Self::Listed(devices) => {
                let names: Vec<String> = devices.iter().copied().map(device_name).collect();
                formatter.write_str(&names.join(","))
            }
        }
    }
}

impl DeviceChoice {
    /// The devices, at least one, one for each replica. Loads CUDA where the choice wants it, so
    /// call it before the first tensor.
    ///
    /// Errors: [`LibtorchError::Cuda`] and [`LibtorchError::NoSuchGpu`] where a GPU was asked for by
    /// name and is not there. `auto` never fails: it goes to the CPU.
    pub fn resolve(&self) -> Result<Vec<Device>, LibtorchError> {
        match self {
            Self::Auto => Ok(load_cuda().map_or_else(
                |error| {
                    tracing::info!(%error, "computing on the CPU");
                    vec![Device::Cpu]
                },
                |count| (0..count).map(Device::Cuda).collect(),
            )),
            Self::Cuda => Ok((0..load_cuda()?).map(Device::Cuda).collect()),
            Self::Listed(devices) => {
                if devices.iter().any(|device| device.is_cuda()) {
                    within(devices, load_cuda()?)?;
                }
                Ok(devices.clone())
            }
        }
    }
}

/// The name to show and to parse: `cpu`, `cuda:0`.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".into(),
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Mps => "mps".into(),
        Device::Vulkan => "vulkan".into(),
    }
}

fn device(name: &str) -> Result<Device, LibtorchError> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    name.strip_prefix("cuda:")
        .and_then(|index| index.parse().ok())
        .map(Device::Cuda)
        .ok_or_else(|| LibtorchError::UnknownDevice(name.to_owned()))
}

fn within(devices: &[Device], count: usize) -> Result<(), LibtorchError> {
    for device in devices {
        if let Device::Cuda(index) = *device
            && index >= count
        {
            return Err(LibtorchError::NoSuchGpu { index, count });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_as_it_is_shown() {
        let check = |text: &str, expected: DeviceChoice| {
            let choice: DeviceChoice = text.parse().unwrap();
            assert_eq!(choice, expected);
            assert_eq!(choice.to_string(), text.replace(' ', ""));
        };
        check("auto", DeviceChoice::Auto);
        check("cuda", DeviceChoice::Cuda);
        check("cpu", DeviceChoice::Listed(vec![Device::Cpu]));
        check("cuda:0, cuda:3", DeviceChoice::Listed(vec![Device::Cuda(0), Device::Cuda(3)]));
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cpu,,cpu", "cuda0"] {
            let error = wrong.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("use auto, cpu, cuda, cuda:0 or a list"), "{error}");
        }
    }

    #[test]
    fn the_cpu_is_always_there_and_a_gpu_beyond_the_last_is_an_error() {
        let two = DeviceChoice::Listed(vec![Device::Cpu, Device::Cpu]);
        assert_eq!(two.resolve(), Ok(vec![Device::Cpu, Device::Cpu]));
        assert!(!DeviceChoice::Auto.resolve().unwrap().is_empty());
        assert_eq!(within(&[Device::Cpu, Device::Cuda(1)], 2), Ok(()));
        let error = within(&[Device::Cuda(2)], 2).unwrap_err().to_string();
        assert_eq!(error, "device cuda:2 is not there: 2 found, the first is cuda:0");
    }
}
