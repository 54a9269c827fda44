//! The header of a JPEG scan.

/// What the header of a scan, and the segments before it, say about the samples of the scan.
pub(crate) struct Scan {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Bits of a sample.
    pub(crate) bits: u32,
    /// Samples (lossless) or blocks (DCT) between two restarts; 0 without restarts.
    pub(crate) restart_interval: usize,
    /// Low bits that the encoder dropped from every sample; lossless only.
    pub(crate) point_transform: u32,
    /// 1 to 7; lossless only.
    pub(crate) predictor: u8,
}
