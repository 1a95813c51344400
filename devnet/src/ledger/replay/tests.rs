//! Logs that lead where they say, and logs that do not.
