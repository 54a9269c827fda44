//! HTML pages of one file: tables, figures, charts and style.
