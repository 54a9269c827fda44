//! Devices that networks run on: finding, opening and checking them.

use super::backend::{Backend, Execution, Precision};
use super::error::{Error, Result};

/// A device that networks run on.
#[derive(Clone, Debug)]
pub enum Device {
    /// The processor, with all of its cores.
    Cpu,
    /// An NVIDIA card.
    Cuda(Card),
}

/// An NVIDIA card that has passed its check.
#[derive(Clone, Debug)]
pub struct Card {
    number: usize,
    device: candle_core::Device,
    precision: Precision,
}

impl Device {
    /// The device with a name: `cpu`, `cuda:N` for card number N from 0, or `auto` for the device
    /// of [`Self::automatic`]. Products have the precision `f32`.
    ///
    /// # Errors
    ///
    /// Fails for another name, and for a card that is missing or does not work; the error says why.
    pub fn from_name(name: &str) -> Result<Self> {
        let wrong = |problem: String| Error::Device { found: name.to_owned(), problem };
        match name {
            "cpu" => return Ok(Self::Cpu),
            "auto" => return Ok(Self::automatic().0),
            _ => {}
        }
        let number = name.strip_prefix("cuda:").and_then(|number| number.parse::<u16>().ok());
        let Some(number) = number.map(usize::from) else {
            let hint = if name == "cuda" { "which card? `cuda:0` is the first" } else { "unknown" };
            return Err(wrong(format!("{hint}; expected `auto`, `cpu` or `cuda:N`")));
        };
        let found = card::count().and_then(|count| match count {
            0 => Err("found no card".to_owned()),
            n if number < n => Self::card(number),
            1 => Err("found 1 card, `cuda:0`".to_owned()),
            n => Err(format!("found {n} cards, `cuda:0` to `cuda:{}`", n - 1)),
        });
        found.map_err(|problem| wrong(format!("{problem}; use `cpu` to run without a card")))
    }

    /// The first card that works, or else the processor with the reason why no card is used.
    pub fn automatic() -> (Self, Option<String>) {
        let mut problem = "found no card".to_owned();
        match card::count() {
            Err(error) => problem = error,
            Ok(count) => {
                for number in 0..count {
                    match Self::card(number) {
                        Ok(card) => return (card, None),
                        Err(error) => problem = error,
                    }
                }
            }
        }
        (Self::Cpu, Some(problem))
    }

    fn card(number: usize) -> std::result::Result<Self, String> {
        let card = Card { number, device: card::open(number)?, precision: Precision::F32 };
        card::check(&card.device, card.precision)?;
        Ok(Self::Cuda(card))
    }

    /// The device's name, as [`Self::from_name`] accepts it.
    pub fn name(&self) -> String {
        match self {
            Self::Cpu => "cpu".to_owned(),
            Self::Cuda(card) => format!("cuda:{}", card.number),
        }
    }

    /// The same device with products of this precision.
    ///
    /// # Errors
    ///
    /// Fails if the device does not support the precision.
    pub fn with_precision(&self, precision: Precision) -> Result<Self> {
        let wrong = |problem| Error::Device { found: self.name(), problem };
        match self {
            Self::Cpu if precision == Precision::F32 => Ok(Self::Cpu),
            Self::Cpu => Err(wrong(format!(
                "the processor computes in `f32`; precision `{}` needs a card",
                precision.name()
            ))),
            // This precision was checked when the card was opened.
            Self::Cuda(card) if precision == card.precision => Ok(self.clone()),
            Self::Cuda(card) => {
                card::check(&card.device, precision).map_err(wrong)?;
                Ok(Self::Cuda(Card { precision, ..card.clone() }))
            }
        }
    }

    /// Free memory of a card, in bytes; `None` for the processor.
    ///
    /// # Errors
    ///
    /// Fails if the card does not answer.
    pub fn free_bytes(&self) -> Result<Option<u64>> {
        match self {
            Self::Cpu => Ok(None),
            Self::Cuda(card) => {
                let wrong = |problem| Error::Device { found: self.name(), problem };
                Ok(Some(card::free_bytes(&card.device).map_err(wrong)?))
            }
        }
    }

    pub(super) fn backend(&self) -> Backend {
        match self {
            Self::Cpu => Backend::host(),
            Self::Cuda(card) => Backend {
                device: card.device.clone(),
                execution: Execution::Composed(card.precision),
            },
        }
    }
}

/// Backends on which tests run composed operators: the processor, and the first card if there is
/// one.
#[cfg(test)]
#[expect(clippy::print_stderr, reason = "says what is not tested")]
pub(super) fn composed_backends() -> &'static [Backend] {
    static BACKENDS: std::sync::OnceLock<Vec<Backend>> = std::sync::OnceLock::new();
    BACKENDS.get_or_init(|| {
        let mut backends = vec![Backend::composed()];
        match Device::from_name("cuda:0") {
            Ok(device) => backends.push(device.backend()),
            Err(error) => eprintln!("not tested on a card: {error}"),
        }
        backends
    })
}

/// Cards in a program without CUDA.
#[cfg(not(feature = "cuda"))]
mod card {
    use crate::backend::Precision;

    const PROBLEM: &str =
        "this program was built without CUDA (cargo's feature `cuda`, docs/gpu.md)";

    pub(super) fn count() -> Result<usize, String> {
        Err(PROBLEM.to_owned())
    }

    pub(super) fn open(_: usize) -> Result<candle_core::Device, String> {
        Err(PROBLEM.to_owned())
    }

    pub(super) fn check(_: &candle_core::Device, _: Precision) -> Result<(), String> {
        Err(PROBLEM.to_owned())
    }

    pub(super) fn free_bytes(_: &candle_core::Device) -> Result<u64, String> {
        Err(PROBLEM.to_owned())
    }
}

/// Cards.
#[cfg(feature = "cuda")]
mod card {
    pub(super) use crate::ops::cuda::agreement::check;
    use candle_core::cuda::cudarc;
    use cudarc::driver::CudaContext;

    /// Number of cards that the driver knows.
    pub(super) fn count() -> Result<usize, String> {
        let count = CudaContext::device_count().map_err(|error| {
            format!("NVIDIA's driver is missing or has no card: {:?} (docs/gpu.md)", error.0)
        })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Opens the card with this number.
    pub(super) fn open(number: usize) -> Result<candle_core::Device, String> {
        // One stream for all threads: operations run in the order in which they are requested.
        candle_core::Device::new_cuda_with_stream(number).map_err(|error| {
            // A backtrace may follow, which does not belong in the message.
            let error = error.to_string();
            let error = error.lines().next().unwrap_or_default();
            format!("the card, or one of CUDA's libraries, does not start: {error} (docs/gpu.md)")
        })
    }

    pub(super) fn free_bytes(device: &candle_core::Device) -> Result<u64, String> {
        let device = device.as_cuda_device().map_err(|error| error.to_string())?;
        let stream = device.cuda_stream();
        let (free, _) = stream.context().mem_get_info().map_err(|error| error.to_string())?;
        Ok(free as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> String {
        Device::from_name(name).unwrap_err().to_string()
    }

    #[test]
    fn other_names_are_refused() {
        assert!(matches!(Device::from_name("cpu").unwrap(), Device::Cpu));
        for name in ["gpu", "cuda:x", "cuda1", "cuda:", "cuda", "cuda:-1", ""] {
            let message = refused(name);
            assert!(message.contains("expected `auto`, `cpu` or `cuda:N`"), "{message}");
        }
        assert!(refused("cuda").contains("`cuda:0` is the first"));
    }

    #[test]
    fn a_card_that_is_not_there_is_refused() {
        let message = refused("cuda:65535");
        assert!(message.starts_with("device `cuda:65535`: "), "{message}");
        assert!(["without CUDA", "card"].iter().any(|part| message.contains(part)), "{message}");
        assert!(message.ends_with("; use `cpu` to run without a card"), "{message}");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_cuda_there_is_the_processor() {
        let (device, problem) = Device::automatic();
        assert!(matches!(device, Device::Cpu));
        let problem = problem.unwrap();
        assert_eq!(
            problem,
            "this program was built without CUDA (cargo's feature `cuda`, docs/gpu.md)"
        );
        assert!(matches!(Device::from_name("auto").unwrap(), Device::Cpu));
        assert_eq!(
            refused("cuda:0"),
            format!("device `cuda:0`: {problem}; use `cpu` to run without a card")
        );
    }

    #[test]
    fn the_processor_has_one_precision() {
        assert!(Device::Cpu.with_precision(Precision::F32).is_ok());
        for precision in [Precision::Tf32, Precision::Bf16] {
            let name = precision.name();
            assert_eq!(
                Device::Cpu.with_precision(precision).unwrap_err().to_string(),
                format!(
                    "device `cpu`: the processor computes in `f32`; precision `{name}` needs a card"
                )
            );
            assert_eq!(serde_json::to_value(precision).unwrap(), name);
        }
    }
}
