"""Model cards of what CLEP-DG makes: classifiers, and banks of contexts."""
