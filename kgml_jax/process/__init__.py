"""Process model: pure functions that advance one site by one day and know nothing of learning."""
