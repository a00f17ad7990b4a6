//! Tests of the control operations.
