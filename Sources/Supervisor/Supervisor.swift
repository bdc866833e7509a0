/// The process that holds the listening sockets and keeps a serving process alive.
package enum Supervisor {}
