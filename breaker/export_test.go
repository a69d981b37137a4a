package breaker

// AlwaysStriped is for the tests outside of the package.
const AlwaysStriped = alwaysStriped
