package node

// Handle is what a peer's request comes to.
var Handle = (*Node).handle
