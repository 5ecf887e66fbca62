package measure

// OwnCPU is what Others takes for the work that is measured.
var OwnCPU = ownCPU
