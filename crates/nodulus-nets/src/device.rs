//! Where networks run.

use super::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device that networks run on.
#[derive(Clone, Debug)]
pub enum Device {
    /// The processor, all of its cores.
    Cpu,
    /// An NVIDIA card.
    Cuda(Card),
}

/// An NVIDIA card that works.
#[derive(Clone, Debug)]
pub struct Card {
    number: usize,
    tensors: candle_core::Device,
    precision: Precision,
}

/// Precision of a card's products. Weights, moments, norms and losses are always `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Factors have 24 significant bits.
    #[default]
    F32,
    /// Factors of matrix products and convolutions have 11 significant bits; sums have 24.
    Tf32,
    /// Factors and outputs of convolutions have 8 significant bits, sums 24; other products are as in `f32`.
    Bf16,
}

impl Precision {
    /// Its name in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }

    /// Whether it is the one that is used where none is asked for.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How operators run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operators {
    /// By code of their own, for the processor.
    Host,
    /// Composed of the tensor library's operations, with products of a precision.
    Composed(Precision),
}

impl Operators {
    /// Runs a pass.
    pub(super) fn run<R: Send>(self, f: impl FnOnce() -> R + Send) -> R {
        match self {
            // Within the pool, so that operators need not wake it.
            Self::Host => rayon::scope(|_| f()),
            // A card's libraries are made ready for each thread anew.
            Self::Composed(precision) => {
                // The tensor library has one switch for all cards.
                candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::Tf32);
                f()
            }
        }
    }
}

/// Where tensors are, and how operators run there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) tensors: candle_core::Device,
    pub(super) operators: Operators,
}

impl Place {
    /// The processor.
    pub(super) fn host() -> Self {
        Self { tensors: candle_core::Device::Cpu, operators: Operators::Host }
    }

    /// The processor with the operators that cards use.
    #[cfg(test)]
    pub(super) fn composed() -> Self {
        Self { tensors: candle_core::Device::Cpu, operators: Operators::Composed(Precision::F32) }
    }

    /// The same place with composed operators of a precision.
    #[cfg(test)]
    pub(super) fn with_precision(&self, precision: Precision) -> Self {
        Self { operators: Operators::Composed(precision), ..self.clone() }
    }

    /// Where tests of composed operators run: the processor, and the first card where there is one.
    #[cfg(test)]
    #[expect(clippy::print_stderr, reason = "says what is not tested")]
    pub(super) fn all_composed() -> &'static [Self] {
        static PLACES: std::sync::OnceLock<Vec<Place>> = std::sync::OnceLock::new();
        PLACES.get_or_init(|| {
            let mut places = vec![Self::composed()];
            match Device::from_name("cuda:0") {
                Ok(device) => places.push(device.place()),
                Err(error) => eprintln!("not tested on a card: {error}"),
            }
            places
        })
    }
}

impl Device {
    /// The device of a name: `cpu`, `cuda:N` for the card of a number from 0, or `auto` for that of
    /// [`Self::automatic`]. Products are `f32`'s.
    ///
    /// # Errors
    ///
    /// Fails for another name, and for a card that is not there or does not work; says why.
    pub fn from_name(name: &str) -> Result<Self> {
        let wrong = |problem: String| Error::Device { found: name.to_owned(), problem };
        match name {
            "cpu" => return Ok(Self::Cpu),
            "auto" => return Ok(Self::automatic().0),
            _ => {}
        }
        let number = name.strip_prefix("cuda:").and_then(|number| number.parse::<u16>().ok());
        let Some(number) = number.map(usize::from) else {
            let hint =
                if name == "cuda" { "which card? \"cuda:0\" is the first" } else { "unknown" };
            return Err(wrong(format!("{hint}; expected \"auto\", \"cpu\" or \"cuda:N\"")));
        };
        let found = card::count().and_then(|count| match count {
            0 => Err("found no card".to_owned()),
            n if number < n => Self::card(number),
            1 => Err("found 1 card, \"cuda:0\"".to_owned()),
            n => Err(format!("found {n} cards, \"cuda:0\" to \"cuda:{}\"", n - 1)),
        });
        found.map_err(|problem| wrong(format!("{problem}; \"cpu\" needs none")))
    }

    /// The first card that works, else the processor; for the processor, why it is no card.
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
        let card = Card { number, tensors: card::open(number)?, precision: Precision::F32 };
        card::check(&card.tensors, card.precision)?;
        Ok(Self::Cuda(card))
    }

    /// The device's name, as [`Self::from_name`] takes it.
    pub fn name(&self) -> String {
        match self {
            Self::Cpu => "cpu".to_owned(),
            Self::Cuda(card) => format!("cuda:{}", card.number),
        }
    }

    /// The device with products of a precision.
    ///
    /// # Errors
    ///
    /// Fails where the device has no such precision.
    pub fn with_precision(&self, precision: Precision) -> Result<Self> {
        let wrong = |problem| Error::Device { found: self.name(), problem };
        match self {
            Self::Cpu if precision == Precision::F32 => Ok(Self::Cpu),
            Self::Cpu => Err(wrong(format!(
                "the processor computes in \"f32\"; precision \"{}\" needs a card",
                precision.name()
            ))),
            // It was checked when the card was opened.
            Self::Cuda(card) if precision == card.precision => Ok(self.clone()),
            Self::Cuda(card) => {
                card::check(&card.tensors, precision).map_err(wrong)?;
                Ok(Self::Cuda(Card { precision, ..card.clone() }))
            }
        }
    }

    /// Bytes that are free on a card; `None` for the processor.
    ///
    /// # Errors
    ///
    /// Fails if the card cannot be asked.
    pub fn free_bytes(&self) -> Result<Option<u64>> {
        match self {
            Self::Cpu => Ok(None),
            Self::Cuda(card) => {
                let wrong = |problem| Error::Device { found: self.name(), problem };
                Ok(Some(card::free_bytes(&card.tensors).map_err(wrong)?))
            }
        }
    }

    pub(super) fn place(&self) -> Place {
        match self {
            Self::Cpu => Place::host(),
            Self::Cuda(card) => Place {
                tensors: card.tensors.clone(),
                operators: Operators::Composed(card.precision),
            },
        }
    }
}

/// Cards, in a program without CUDA.
#[cfg(not(feature = "cuda"))]
mod card {
    use super::Precision;

    const PROBLEM: &str =
        "this program was built without CUDA (cargo's feature \"cuda\", docs/gpu.md)";

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

    /// Cards that the driver knows.
    pub(super) fn count() -> Result<usize, String> {
        let count = CudaContext::device_count().map_err(|error| {
            format!("NVIDIA's driver is missing or has no card: {:?} (docs/gpu.md)", error.0)
        })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The card of a number.
    pub(super) fn open(number: usize) -> Result<candle_core::Device, String> {
        // One stream for all threads: operations happen in the order that they are asked for.
        candle_core::Device::new_cuda_with_stream(number).map_err(|error| {
            // The backtrace that may follow is no part of the message.
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
            assert!(message.contains("expected \"auto\", \"cpu\" or \"cuda:N\""), "{message}");
        }
        assert!(refused("cuda").contains("\"cuda:0\" is the first"));
    }

    #[test]
    fn a_card_that_is_not_there_is_refused() {
        let message = refused("cuda:65535");
        assert!(message.starts_with("device \"cuda:65535\": "), "{message}");
        assert!(["without CUDA", "card"].iter().any(|part| message.contains(part)), "{message}");
        assert!(message.ends_with("; \"cpu\" needs none"), "{message}");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_cuda_there_is_the_processor() {
        let (device, problem) = Device::automatic();
        assert!(matches!(device, Device::Cpu));
        let problem = problem.unwrap();
        assert_eq!(
            problem,
            "this program was built without CUDA (cargo's feature \"cuda\", docs/gpu.md)"
        );
        assert!(matches!(Device::from_name("auto").unwrap(), Device::Cpu));
        assert_eq!(refused("cuda:0"), format!("device \"cuda:0\": {problem}; \"cpu\" needs none"));
    }

    #[test]
    fn the_processor_has_one_precision() {
        assert!(Device::Cpu.with_precision(Precision::F32).is_ok());
        for precision in [Precision::Tf32, Precision::Bf16] {
            let name = precision.name();
            assert_eq!(
                Device::Cpu.with_precision(precision).unwrap_err().to_string(),
                format!(
                    "device \"cpu\": the processor computes in \"f32\"; precision \"{name}\" needs a card"
                )
            );
            assert_eq!(serde_json::to_value(precision).unwrap(), name);
        }
    }
}
