"""An alliance of three brands on one machine: three real nodes, their partners, agreements and members."""
