"""The machines: frozen parameters with pure functions on a region; they know no cluster and no store."""
