internal import PluginHost
internal import Proxy
internal import Reactor

extension Generations {
    /// Has all plugins that write files of their own open them again, also those that only older
    /// requests are with. [control]
    ///
    /// - Returns: the names of those that serve.
    func reopenLogs() -> [String] {
        let older = retiring.map(\.running) + [canary?.running].compactMap(\.self)
        var told: [PluginInstance] = []
        for plugin in ([running] + older).flatMap(\.plugins)
        where plugin.instance.reopensLogs && !told.contains(where: { $0 === plugin.instance }) {
            told.append(plugin.instance)
            do throws(PluginError) {
                try plugin.instance.reopenLogs()
            } catch {
                log.write(1) { $0.text(error.description) }
            }
        }
        return running.plugins.filter(\.instance.reopensLogs).map(\.settings.name)
    }
}
