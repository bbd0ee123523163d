// Package p2p is the one door to the network: libp2p connections, the Kademlia DHT that
// places shards and finds nodes, bitswap for blobs, gossip for hints.
//
// The rest of the program sees a Host with few verbs: Call and Handle (one request, one
// response), Nearest (who keeps a key), PutHead and GetHead, ProvideBoard and FindBoard,
// Announce, Fetch. It names nodes by jobs.NodeID and never sees a libp2p type.
//
// What the overlay does not do by itself, and this package adds:
//
//   - kad-dht waits 10 s for a peer that died in silence: exchange.go has our own message
//     sender with a deadline of 1.5 s, and suspicion (liveness.go) closes dead connections;
//   - kad-dht never heals a partition: rejoin.go dials remembered peers for ever;
//   - kad-dht stores whatever it is sent: quota.go bounds its store;
//   - kad-dht takes a server for reachable: reach.go decides who may be one.
package p2p
