internal import Reactor
internal import Sys

/// What the supervisor does for its service manager, and for processes that take over.
extension Supervisor {
    /// The id of pings for the service manager; those of an upgrade have another.
    static let lifePing = 2

    /// After each turn: says what has changed, and goes on with a take-over.
    func attendService() {
        let result = service.turn(
            sockets: { sockets.all },
            // The other process listens there next.
            prepare: { perform(.serveAdmin(nil)) }
        )
        switch result {
        case nil: break
        case .failed: perform(.serveAdmin(lifecycle.settings.admin))
        case .done:
            sockets.giveAway()
            handle(.handedOver)
        }
        announce()
        // One that does not serve yet has nobody who could answer.
        if service.mustPing(now: Self.now), let main = lifecycle.first(.main), main.readyAt != nil {
            send(main.id, .ping(id: Self.lifePing))
        }
    }

    private func announce() {
        let wasWaiting = service.isWaitingForOther
        do throws(TakeOverFailure) {
            let file = try service.announce(
                lifecycle.activity,
                workers: lifecycle.first(.main)?.workers ?? 0
            )
            if let file { reopenLogs(file) }
            guard wasWaiting, !service.isWaitingForOther else { return }
            sockets.ownFiles()
            perform(.serveAdmin(lifecycle.settings.admin))
        } catch {
            log.write(1) { $0.text("no take-over: the other process \(error.reason)") }
            // Its sockets, and their files.
            sockets.giveAway()
            failure = 1
            handle(.signal(.terminate))
        }
    }

    /// Has all processes write their lines to this file, if there is one.
    func reopenLogs(_ file: SharedDescriptor?) {
        for id in Array(peers.keys) { send(id, .reopenLogs(file)) }
    }
}
