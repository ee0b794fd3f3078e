"""The cislunar campaign: plants, flights and stages with economies of scale."""
