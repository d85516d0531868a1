//! The deterministic state machine of the account half: instants in, integer columns out.
