package provision

// NewBackingID makes an id of nothing that is there.
var NewBackingID = newBackingID
