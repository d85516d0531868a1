//! Feature kernels: each is a struct with an `update`, and a batch is a loop over it.
