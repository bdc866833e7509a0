internal import Admin
internal import Sys

/// Writes the state of a supervisor, and notes the descriptors in it.
struct ResumeWriter {
    private(set) var descriptors: [Int32] = []

    mutating func write(_ supervisor: Supervisor) -> JSON {
        let lifecycle = supervisor.lifecycle
        var members: [JSON.Member] = [
            JSON.Member("version", .integer(Int64(ResumeState.version))),
            JSON.Member("manifest", .string(supervisor.program.manifest)),
            JSON.Member("last_id", .integer(Int64(lifecycle.lastID))),
            JSON.Member("last_command", .integer(Int64(lifecycle.lastCommand))),
            JSON.Member("settings", .object(lifecycle.settings.members)),
            JSON.Member(
                "processes",
                .array(
                    lifecycle.processes.compactMap { process in
                        supervisor.peers[process.id].map { write(process, $0) }
                    }
                )
            ),
            JSON.Member("crashes", write(lifecycle.crashes)),
            JSON.Member("sockets", .array(supervisor.sockets.entries.map { write($0) })),
        ]
        if let upgrade = lifecycle.upgrade, let ready = upgrade.ready {
            members.append(
                JSON.Member(
                    "next",
                    [
                        "id": .integer(Int64(upgrade.id)),
                        "workers": .integer(Int64(ready.workers)),
                        "manifest": write(ready.manifest),
                        "settings": .object(ready.settings.members),
                    ]
                )
            )
        }
        if let place = supervisor.admin.place, let socket = supervisor.admin.socket {
            var admin: [JSON.Member] = [
                JSON.Member("address", .string(place.address)),
                JSON.Member("socket", write(socket)),
            ]
            if let file = place.tokenFile {
                admin.append(JSON.Member("token_file", .string(file)))
            }
            if let page = place.page { admin.append(JSON.Member("page", .bool(page))) }
            members.append(JSON.Member("admin", .object(admin)))
        }
        let (service, kept) = supervisor.service.resumeState()
        members.append(JSON.Member("service", service))
        descriptors += kept
        return .object(members)
    }

    private mutating func write(_ descriptor: SharedDescriptor) -> JSON {
        descriptors.append(descriptor.number)
        return .integer(Int64(descriptor.number))
    }

    private mutating func write(
        _ process: Lifecycle.Serving,
        _ peer: Supervisor.Peer
    ) -> JSON {
        [
            "id": .integer(Int64(process.id)), "role": .string(process.role.rawValue),
            "process": .integer(Int64(process.process)),
            "leaving_since": .integer(Int64(process.leavingSince)),
            "started_at": .integer(Int64(process.startedAt)),
            "ready_at": .integer(Int64(process.readyAt ?? 0)),
            "workers": .integer(Int64(process.workers)),
            "channel": write(peer.channelFile), "crash_record": write(peer.crashRecord),
            "is_open": .bool(peer.isOpen),
        ]
    }

    private mutating func write(_ crashes: CrashHistory) -> JSON {
        var members: [JSON.Member] = [
            JSON.Member("count", .integer(Int64(crashes.count))),
            JSON.Member("wait", .integer(Int64(crashes.wait))),
            JSON.Member("times", .array(crashes.times.map { ["at": .integer(Int64($0))] })),
            JSON.Member("served_since", .integer(Int64(crashes.servedSince ?? 0))),
            JSON.Member("quarantine", .array(crashes.quarantine.map(\.json))),
        ]
        if let line = crashes.lastLine {
            members.append(JSON.Member("last_line", .string(String(line.prefix(1_000)))))
        }
        if let current = crashes.current {
            members.append(JSON.Member("current", write(current.file)))
        }
        if let clean = crashes.clean {
            members.append(JSON.Member("clean", write(clean.file)))
        }
        return .object(members)
    }

    private mutating func write(_ entry: SocketTable.Entry) -> JSON {
        [
            "address": .string(entry.key.address),
            "occurrence": .integer(Int64(entry.key.occurrence)),
            "bound": .string(entry.address.text),
            "is_inherited": .bool(entry.isInherited),
            "owns_file": .bool(entry.ownsFile),
            "sockets": .array(entry.sockets.map { ["descriptor": write($0)] }),
            "users": .array(
                entry.users.map {
                    ["id": .integer(Int64($0.key)), "count": .integer(Int64($0.value))]
                }
            ),
        ]
    }
}
