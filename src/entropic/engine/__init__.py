"""How the cycle is computed: program, blocks, cluster, checkpoints."""
