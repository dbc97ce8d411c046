// Package handlers knows HTTP: addresses, status codes, cookies, headers. Each
// file holds one action or one noun; routes.go is the map of the site.
//
// An event's way begins and ends here. In whatever form it is sent, [Server.takeIn]
// decodes its batch, keeps it in one transaction and announces it to the hub, and
// only then is it answered;
// [Server.getStream] writes what the hub rendered to one open connection.
//
// # Answers
//
// Every request passes [Server.receive], so that none ends without a status: where a handler
// says nothing, the connection is aborted, and a sender never takes silence for
// success. A context that ends with the sender would end too soon for one that only closed its half
// of the connection, so it ends some seconds later; streams have the sender's own. Bodies
// come at a pace ([pacedBody]) and within bounds ([budget]), and take a place among the batches
// that are worked on only when they are whole.
//
// # Concurrency
//
// A [Server] serves any number of requests at once. Requests share nothing but
// the store, the hub, the roster of streams and the throttles, each of which
// guards itself. Streams stand outside the session middleware: it buffers
// cookies until the end of a request, and a stream has no end.
package handlers
