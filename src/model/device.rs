//! Where networks run.

use super::error::{Error, Result};
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
}

/// How precisely a card multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 24 bits of each factor.
    #[default]
    F32,
    /// 11 bits of each factor in products of matrices and in convolutions, summed in 24; all else,
    /// weights among it, as in [`Self::F32`].
    Tf32,
}

impl Precision {
    /// Whether it is the one that is used where none is asked for.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How operators run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operators {
    /// By code of their own, for the processor.
    Host,
    /// Composed of the tensor library's operations.
    Composed,
}

impl Operators {
    /// Runs a pass.
    pub(super) fn run<R: Send>(self, f: impl FnOnce() -> R + Send) -> R {
        match self {
            // Within the pool, so that operators need not wake it.
            Self::Host => rayon::scope(|_| f()),
            // A card's libraries are made ready for each thread anew.
            Self::Composed => f(),
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
        Self { tensors: candle_core::Device::Cpu, operators: Operators::Composed }
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
    /// The device of a name: `cpu`, `cuda:N` for the card of a number from 0, or `auto` for the first
    /// card that works, else the processor.
    ///
    /// # Errors
    ///
    /// Fails for another name, and for a card that is not there or does not work; says why.
    pub fn from_name(name: &str) -> Result<Self> {
        let wrong = |problem: String| Error::Device { found: name.to_owned(), problem };
        let card = |number| card::open(number).map(|tensors| Card { number, tensors });
        if name == "cpu" {
            return Ok(Self::Cpu);
        }
        if name == "auto" {
            let mut cards = (0..card::count().unwrap_or(0)).map(card);
            return Ok(cards.find_map(std::result::Result::ok).map_or(Self::Cpu, Self::Cuda));
        }
        let number = name.strip_prefix("cuda:").and_then(|number| number.parse::<u16>().ok());
        let Some(number) = number.map(usize::from) else {
            let hint =
                if name == "cuda" { "which card? \"cuda:0\" is the first" } else { "unknown" };
            return Err(wrong(format!("{hint}; expected \"auto\", \"cpu\" or \"cuda:N\"")));
        };
        let count = card::count().map_err(wrong)?;
        if number >= count {
            let cards = match count {
                0 => "no card".to_owned(),
                1 => "1 card, \"cuda:0\"".to_owned(),
                n => format!("{n} cards, \"cuda:0\" to \"cuda:{}\"", n - 1),
            };
            return Err(wrong(format!("found {cards}; \"cpu\" needs none")));
        }
        Ok(Self::Cuda(card(number).map_err(wrong)?))
    }

    /// The device's name, as [`Self::from_name`] takes it.
    pub fn name(&self) -> String {
        match self {
            Self::Cpu => "cpu".to_owned(),
            Self::Cuda(card) => format!("cuda:{}", card.number),
        }
    }

    /// Sets how precisely products are computed from now on, on all cards.
    ///
    /// # Errors
    ///
    /// Fails where the device has no such precision.
    pub fn set_precision(&self, precision: Precision) -> Result<()> {
        match (self, precision) {
            (Self::Cpu, Precision::F32) => Ok(()),
            (Self::Cpu, Precision::Tf32) => Err(Error::Device {
                found: self.name(),
                problem: "the processor computes in \"f32\"; precision \"tf32\" needs a card"
                    .to_owned(),
            }),
            (Self::Cuda(_), precision) => {
                let reduced = precision == Precision::Tf32;
                candle_core::cuda::set_gemm_reduced_precision_f32(reduced);
                Ok(())
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
            Self::Cuda(card) => {
                Place { tensors: card.tensors.clone(), operators: Operators::Composed }
            }
        }
    }
}

/// Cards, in a program without CUDA.
#[cfg(not(feature = "cuda"))]
mod card {
    const PROBLEM: &str =
        "this program was built without CUDA (cargo's feature \"cuda\", docs/gpu.md); use \"cpu\"";

    pub(super) fn count() -> Result<usize, String> {
        Err(PROBLEM.to_owned())
    }

    pub(super) fn open(_: usize) -> Result<candle_core::Device, String> {
        Err(PROBLEM.to_owned())
    }

    pub(super) fn free_bytes(_: &candle_core::Device) -> Result<u64, String> {
        Err(PROBLEM.to_owned())
    }
}

/// Cards.
#[cfg(feature = "cuda")]
mod card {
    use crate::model::ops::cuda::agreement;
    use candle_core::cuda::cudarc;
    use cudarc::driver::CudaContext;

    /// Cards that the driver knows.
    pub(super) fn count() -> Result<usize, String> {
        let count = CudaContext::device_count().map_err(|error| format!("CUDA driver: {error}"))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The card of a number, once its convolutions are those of the processor.
    pub(super) fn open(number: usize) -> Result<candle_core::Device, String> {
        // One stream for all threads: operations happen in the order that they are asked for.
        let device = candle_core::Device::new_cuda_with_stream(number)
            .map_err(|error| format!("the card does not start: {error}"))?;
        agreement::check(&device)?;
        Ok(device)
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
        let problems =
            ["built without CUDA", "is not found", "found no card", "CUDA driver", "card"];
        assert!(problems.iter().any(|problem| message.contains(problem)), "{message}");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_cuda_there_is_the_processor() {
        assert!(matches!(Device::from_name("auto").unwrap(), Device::Cpu));
        assert_eq!(
            refused("cuda:0"),
            "device \"cuda:0\": this program was built without CUDA (cargo's feature \"cuda\", \
             docs/gpu.md); use \"cpu\""
        );
    }

    #[test]
    fn the_processor_has_one_precision() {
        assert!(Device::Cpu.set_precision(Precision::F32).is_ok());
        assert_eq!(
            Device::Cpu.set_precision(Precision::Tf32).unwrap_err().to_string(),
            "device \"cpu\": the processor computes in \"f32\"; precision \"tf32\" needs a card"
        );
    }
}
