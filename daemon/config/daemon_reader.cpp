// SPDX-License-Identifier: Apache-2.0
#include "config/daemon_reader.hpp"

#include "config/document.hpp"
#include "config/scalar.hpp"
#include "config/secrets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>

namespace things {

namespace {

// Opens a section of the main file, checks its names and hands it on.
void with_section(const Node* node, const char* name, Table table, Problems& problems,
                  const std::function<void(Section&)>& reader) {
    if (!node)
        return;
    if (!node->is_map()) {
        problems.error(node->place(), fmt::format("{}: expected a mapping, got {}", name, node->kind_name()));
        return;
    }
    Section section(name, node->place(), entries_of(*node), table, problems);
    section.check_names();
    reader(section);
}

void check_url(const Section& section, const std::string& url, Problems& problems) {
    const Place place = section.place("url");
    const bool is_https = url.rfind("https://", 0) == 0;
    const std::string rest = is_https ? url.substr(8) : "";
    const std::string host = rest.substr(0, rest.find_first_of("/:?#"));
    if (!is_https)
        problems.error(
            place,
            fmt::format("url: {} must begin with https://; readings never leave in the clear", quote(url)));
    else if (rest.find('@') != std::string::npos)
        problems.error(
            place,
            "url: a user name or password in it has no use; the token is made from the device's secret");
    else if (host.empty() || url.find_first_of(" \t\"<>\\") != std::string::npos)
        problems.error(place, fmt::format("url: {} is not an address such as https://host/path", quote(url)));
}

void read_retry(Section& section, ThingsConfig& config, Problems& problems) {
    section.read("initial", config.retry_initial);
    section.read("max", config.retry_max);
    if (config.retry_initial > config.retry_max)
        problems.error(section.place(section.has("max") ? "max" : "initial"),
                       fmt::format("retry: max {} must not be below initial {}",
                                   duration_text(config.retry_max.count()),
                                   duration_text(config.retry_initial.count())));
}

/// "%40" for "@"; none if a % has no two digits behind it.
std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned byte = 0;
        const char* const digits = text.data() + i + 1;
        if (text.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2)
            return std::nullopt;
        out += static_cast<char>(byte);
        i += 2;
    }
    return out;
}

/// Takes user and password out of the address, so that they stand in no message that shows it. False if it
/// cannot be told where they end: a `#`, `/` or `@` in a password.
bool split_proxy(ThingsConfig& config) {
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                         "-._~!$&'()*+,;=:%"; // RFC 3986 3.2.1
    const std::size_t at = config.proxy.find('@');
    if (at == std::string::npos)
        return true;
    const std::size_t scheme = config.proxy.find("://");
    const std::size_t from = scheme == std::string::npos ? 0 : scheme + 3;
    if (from > at || config.proxy.find('@', at + 1) != std::string::npos)
        return false;
    const std::string_view info = std::string_view(config.proxy).substr(from, at - from);
    const std::size_t colon = std::min(info.find(':'), info.size());
    const auto user = percent_decoded(info.substr(0, colon));
    const auto password = percent_decoded(info.substr(std::min(colon + 1, info.size())));
    if (info.find_first_not_of(allowed) != std::string_view::npos || !user || !password)
        return false;
    config.proxy_user = *user;
    config.proxy_password = Secret(*password);
    config.proxy_password_origin = password->empty() ? "" : "text";
    config.proxy.erase(from, at + 1 - from);
    return true;
}

void read_proxy(Section& section, ThingsConfig& config, const LoadOptions& options, Problems& problems) {
    section.read("proxy", config.proxy);
    const bool is_split = split_proxy(config);
    const bool has_keys = section.has("proxy_user") || section.has("proxy_password");
    if (!is_split || (has_keys && !config.proxy_user.empty())) {
        // Never with the text: it holds a password.
        problems.error(
            section.place("proxy"),
            is_split ? "proxy: a user name stands in it and in a key of its own; leave it out here"
                     : "proxy: it cannot be told where the user name and the password in it end; give them "
                       "as proxy_user and proxy_password: {file: F}, and here the address alone");
        config.proxy.clear();
    }
    section.read("proxy_user", config.proxy_user);
    if (const std::optional<std::size_t> choice = section.choice("proxy_auth"))
        config.proxy_auth = static_cast<ProxyAuth>(*choice);
    const Node* node = section.node("proxy_password");
    if (node == nullptr)
        return;
    std::optional<FoundSecret> found = FoundSecret{stand_in_secret, "text"};
    if (options.read_secrets)
        found = read_secret(*node, "proxy_password", options, problems);
    if (!found)
        return;
    config.proxy_password = Secret(std::move(found->text));
    config.proxy_password_origin = found->origin;
    if (config.proxy_user.empty())
        problems.error(section.place("proxy_password"), "proxy_password: without proxy_user it has no use");
}

void read_things(Section& section, ThingsConfig& config, const LoadOptions& options, Problems& problems) {
    section.read("url", config.url);
    check_url(section, config.url, problems);
    std::filesystem::path ca_file;
    section.read("ca_file", ca_file);
    config.ca_file = ca_file.string();
    read_proxy(section, config, options, problems);
    if (options.read_secrets && config.proxy_password_origin == "text" &&
        is_readable_by_all(section.place().file))
        problems.warning({section.place().file, 1, 1}, open_secrets);
    section.read("connect_timeout", config.connect_timeout);
    section.read("timeout", config.timeout);
    section.read("parallel", config.parallel);
    section.read("min_interval", config.min_interval);
    section.read("downlink_poll", config.downlink_poll);
    if (config.connect_timeout > config.timeout)
        problems.error(section.place("connect_timeout"),
                       fmt::format("connect_timeout: must not be above timeout {}",
                                   duration_text(config.timeout.count())));
    with_section(section.node("retry"), "retry", retry_keys(), problems,
                 [&config, &problems](Section& retry) { read_retry(retry, config, problems); });
}

void read_queue(Section& section, QueueConfig& config, bool& keep_removed) {
    section.read("keep_removed", keep_removed);
    section.read("path", config.path);
    section.read("hot_path", config.hot_path);
    section.read("commit_interval", config.commit_interval);
    section.read("max_size", config.max_size);
    section.read("max_age", config.max_age);
    section.read("audit_age", config.audit_age);

    if (const std::optional<std::size_t> choice = section.choice("when_full"))
        config.when_full = static_cast<WhenFull>(*choice);
}

void read_listen(const Section& section, const std::string& listen, WebConfig& config, Problems& problems) {
    // The last one: an IPv6 address is full of them.
    const std::size_t colon = listen.rfind(':');
    std::string address = listen.substr(0, colon == std::string::npos ? 0 : colon);
    const std::int64_t port =
        colon == std::string::npos ? -1 : parse_integer(listen.substr(colon + 1)).value_or(-1);
    const bool is_bracketed = address.size() > 2 && address.front() == '[' && address.back() == ']';
    if (is_bracketed)
        address = address.substr(1, address.size() - 2);
    const bool is_ipv6 = address.find(':') != std::string::npos;
    constexpr std::string_view characters = "0123456789abcdefABCDEF:.%";
    // The web server takes addresses only, and must not depend on a resolver at start.
    if (address == "localhost")
        address = "127.0.0.1";
    if (address.empty() || is_ipv6 != is_bracketed ||
        address.find_first_not_of(characters) != std::string::npos || port < 0 || port > 65535) {
        problems.error(section.place("listen"), fmt::format("listen: expected an address and a port such as "
                                                            "127.0.0.1:8480 or [::1]:8480, got {}",
                                                            quote(listen)));
        return;
    }
    config.address = address;
    config.port = static_cast<std::uint16_t>(port);
}

void read_socket(Section& section, std::filesystem::path& path, Problems& problems) {
    section.read("socket", path);
    constexpr std::size_t most = 107; // sockaddr_un
    if (path.string().size() > most)
        problems.error(section.place("socket"),
                       fmt::format("socket: {} characters are too long for a Unix socket; at most {}",
                                   path.string().size(), most));
}

void read_web_names(const Section& section, std::vector<std::string>& names, Problems& problems) {
    const Node* list = section.node("names");
    if (!list)
        return;
    if (!list->is_list()) {
        problems.error(list->place(),
                       fmt::format("names: expected a list of host names, got {}", list->kind_name()));
        return;
    }
    for (const Node& item : list->children) {
        const bool is_name =
            !item.text.empty() && std::all_of(item.text.begin(), item.text.end(), [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_';
            });
        if (is_name)
            names.push_back(item.text);
        else
            problems.error(item.place(), fmt::format("names: {} is no host name; leave out https:// and the "
                                                     "port",
                                                     quote(item.text)));
    }
}

/// For whoever asks before the daemon does, which goes on reading whatever the page lacks.
void check_tls_files(const Section& tls, const WebConfig& config, Problems& problems) {
    for (const auto& [key, file] : {std::pair{"cert_file", config.cert_file}, {"key_file", config.key_file}})
        if (const std::string reason = read_text_file(file).reason; !reason.empty())
            problems.error(tls.place(key), fmt::format("{}: cannot read {}: {}", key, file.string(), reason));
    if (is_open_to_others(config.key_file))
        problems.error(
            tls.place("key_file"),
            fmt::format("key_file: {0} can be read by others; run: chmod 600 {0}", config.key_file.string()));
}

void read_password(const Section& section, WebConfig& config, const LoadOptions& options,
                   Problems& problems) {
    const Node* node = section.node("password");
    if (node == nullptr)
        return;
    std::optional<FoundSecret> found = FoundSecret{stand_in_secret, "text"};
    if (options.read_secrets)
        found = read_secret(*node, "password", options, problems);
    if (!found)
        return;
    constexpr std::size_t least = 8; // at one guess a second
    if (found->text.size() < least)
        problems.error(node->place(), fmt::format("password: it has {} characters and is soon guessed; at "
                                                  "least {} are needed",
                                                  found->text.size(), least));
    if (options.read_secrets && found->origin == "text" && is_readable_by_all(section.place().file))
        problems.warning({section.place().file, 1, 1}, open_secrets);
    config.password = Secret(std::move(found->text));
    config.password_origin = found->origin;
}

/// Who reaches the address from other machines, and what crosses the network on the way.
void check_exposure(const Section& section, const WebConfig& config, Problems& problems) {
    if (config.address.empty() || config.address.rfind("127.", 0) == 0 || config.address == "::1")
        return;
    if (section.node("password") == nullptr)
        problems.warning(section.place("listen"),
                         fmt::format("listen: everybody who reaches {} can read the page; 127.0.0.1 keeps it "
                                     "to this machine, tls and password to those who know it",
                                     config.address));
    else if (section.node("tls") == nullptr)
        problems.error(section.place("password"),
                       fmt::format("password: without tls it would cross the network to {} in the clear; add "
                                   "tls: {{cert_file: F, key_file: F}}, or listen on 127.0.0.1",
                                   config.address));
}

void read_web(Section& section, WebConfig& config, const LoadOptions& options, Problems& problems) {
    std::string listen;
    section.read("listen", listen);
    if (!listen.empty())
        read_listen(section, listen, config, problems);
    if (section.has("listen") && section.node("listen") == nullptr)
        config.address.clear();
    read_socket(section, config.socket, problems);
    read_web_names(section, config.names, problems);
    with_section(section.node("tls"), "tls", web_tls_keys(), problems,
                 [&config, &options, &problems](Section& tls) {
                     tls.read("cert_file", config.cert_file);
                     tls.read("key_file", config.key_file);
                     if (options.read_secrets && !options.is_service)
                         check_tls_files(tls, config, problems);
                 });
    read_password(section, config, options, problems);
    check_exposure(section, config, problems);
    config.on = !config.address.empty() || !config.socket.empty();
}

void read_time(Section& section, TimeConfig& config) {
    section.read("require_sync", config.require_sync);
    if (const std::optional<std::size_t> choice = section.choice("unsynced"))
        config.unsynced = static_cast<Unsynced>(*choice);
}

} // namespace

void read_daemon_sections(Section& main, Config& config, const LoadOptions& options, Problems& problems) {
    main.read("name", config.name);
    if (constexpr std::size_t most = 64; config.name.size() > most)
        problems.error(main.place("name"),
                       fmt::format("name: {} characters are too long; at most {}", config.name.size(), most));
    with_section(main.node("things"), "things", things_keys(), problems,
                 [&config, &options, &problems](Section& section) {
                     read_things(section, config.things, options, problems);
                 });
    with_section(main.node("batch"), "batch", batch_keys(), problems, [&config](Section& section) {
        section.read("max_age", config.batch.max_age);
        section.read("max_records", config.batch.max_records);
        section.read("max_bytes", config.batch.max_bytes);
    });
    with_section(main.node("queue"), "queue", queue_keys(), problems,
                 [&config](Section& section) { read_queue(section, config.queue, config.keep_removed); });
    with_section(main.node("time"), "time", time_keys(), problems,
                 [&config](Section& section) { read_time(section, config.time); });
    // `web: null` switches it off, a missing key does not.
    config.web.on = !main.has("web") || main.node("web") != nullptr;
    with_section(main.node("web"), "web", web_keys(), problems,
                 [&config, &options, &problems](Section& section) {
                     read_web(section, config.web, options, problems);
                 });
    with_section(
        main.node("control"), "control", control_keys(), problems,
        [&config, &problems](Section& section) { read_socket(section, config.control_socket, problems); });
    with_section(main.node("log"), "log", log_keys(), problems, [&config](Section& section) {
        if (const std::optional<std::size_t> choice = section.choice("level"))
            config.log_level = static_cast<LogLevel>(*choice);
    });
    main.read("writes", config.writes);
}

} // namespace things
