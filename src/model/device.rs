//! Where networks run.

use super::error::{Error, Result};

/// A device that networks run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor, all of its cores.
    Cpu,
}

impl Device {
    /// The device of a name: `cpu`, `cuda:N`, or `auto` for the best that there is.
    ///
    /// # Errors
    ///
    /// Fails for another name, and for `cuda:N`, which no build has yet.
    pub fn from_name(name: &str) -> Result<Self> {
        let number = name.strip_prefix("cuda:").map(str::parse::<u16>);
        let problem = match (name, number) {
            ("cpu" | "auto", _) => return Ok(Self::Cpu),
            ("cuda", _) | (_, Some(Ok(_))) => "this build has no CUDA; use \"cpu\" or \"auto\"",
            _ => "unknown, expected \"auto\", \"cpu\" or \"cuda:N\"",
        };
        Err(Error::Device { found: name.to_owned(), problem })
    }

    /// The device's name, as [`Self::from_name`] takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuda_is_refused_by_name() {
        assert_eq!(Device::from_name("auto").unwrap(), Device::Cpu);
        let message = Device::from_name("cuda:1").unwrap_err().to_string();
        assert_eq!(message, "device \"cuda:1\": this build has no CUDA; use \"cpu\" or \"auto\"");
        for name in ["gpu", "cuda:x", "cuda1", "cuda:", ""] {
            let message = Device::from_name(name).unwrap_err().to_string();
            assert!(message.contains("expected \"auto\", \"cpu\" or \"cuda:N\""), "{message}");
        }
    }
}
