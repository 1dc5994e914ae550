//! What h5ad files and SOMA experiments hold.
