"""What a plan is made of, without I/O: demand, nodes, figures and charts."""
