"""Values of information and flexibility of a case: on a tree, on a lattice, on the process."""
