//! The families of networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A family of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Classifier and segmenter with combined features and threshold dynamics (arXiv 2410.20154).
    Proposed,
    /// U-Net (2015) with batch norm.
    #[serde(rename = "unet")]
    UNet,
    /// `ResU-Net` (2018).
    #[serde(rename = "resunet")]
    ResUNet,
    /// `ResUNet++` (2019).
    #[serde(rename = "resunet_plus_plus")]
    ResUNetPlusPlus,
    /// `DeepLabv3+` (2018) on `ResNet-50`.
    #[serde(rename = "deeplab_v3_plus")]
    DeepLabV3Plus,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 5] =
        [Self::Proposed, Self::UNet, Self::ResUNet, Self::ResUNetPlusPlus, Self::DeepLabV3Plus];

    /// Name in pipeline files and checkpoints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::UNet => "unet",
            Self::ResUNet => "resunet",
            Self::ResUNetPlusPlus => "resunet_plus_plus",
            Self::DeepLabV3Plus => "deeplab_v3_plus",
        }
    }

    /// Number of which an image's rows and columns must be a multiple.
    pub const fn stride(self) -> usize {
        match self {
            Self::Proposed => 32,
            Self::UNet | Self::DeepLabV3Plus => 16,
            Self::ResUNet | Self::ResUNetPlusPlus => 8,
        }
    }

    /// Whether the architecture has a pyramid of dilated convolutions.
    pub(super) const fn has_pyramid(self) -> bool {
        match self {
            Self::Proposed | Self::ResUNetPlusPlus | Self::DeepLabV3Plus => true,
            Self::UNet | Self::ResUNet => false,
        }
    }
}
