"""The words between this node and its partners: streams, parcels, what was lost and what convicts."""
