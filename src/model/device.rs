//! Where networks run.

use super::error::{Error, Result};

/// A device that networks run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor, all of its cores.
    Cpu,
}

impl Device {
    /// The device of a name: `cpu`, `cuda`, or `auto` for the best that there is.
    ///
    /// # Errors
    ///
    /// Fails for another name, and for `cuda` in a build without it.
    pub fn from_name(name: &str) -> Result<Self> {
        let problem = match name {
            "cpu" | "auto" => return Ok(Self::Cpu),
            "cuda" => "this build has no CUDA; use \"cpu\" or \"auto\"",
            _ => "unknown, expected \"auto\", \"cpu\" or \"cuda\"",
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
        let message = Device::from_name("cuda").unwrap_err().to_string();
        assert_eq!(message, "device \"cuda\": this build has no CUDA; use \"cpu\" or \"auto\"");
        assert!(Device::from_name("gpu").unwrap_err().to_string().contains("expected \"auto\""));
    }
}
