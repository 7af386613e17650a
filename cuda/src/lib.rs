//! Freehold: several engines share one card's memory and know nothing of each other.
