"""Where secrets come from: one module per cloud's store, and what makes a certificate or a list of keys good."""
