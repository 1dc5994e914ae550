//! Genes joined with other genes.
