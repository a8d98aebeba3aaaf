// SPDX-License-Identifier: Apache-2.0
#include "status/web_site.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <utility>

namespace things {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

const char* const text_type = "text/plain; charset=utf-8";

std::string_view without_port(std::string_view host) {
    const bool is_ipv6 = host.starts_with('[');
    const auto end = host.find(is_ipv6 ? ']' : ':');
    if (!is_ipv6)
        return host.substr(0, end);
    // Nothing but a port may follow an address in brackets.
    if (end == std::string_view::npos || (end + 1 < host.size() && host[end + 1] != ':'))
        return {};
    return host.substr(1, end - 1);
}

bool is_same_word(std::string_view a, std::string_view b) {
    return beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

std::string_view field(const WebRequest& request, http::field name) {
    const auto value = request[name];
    return {value.data(), value.size()};
}

/// What proxies and servers must not read in two ways; empty if there is nothing.
std::string mistake_of(const WebRequest& request) {
    if (request.count(http::field::host) > 1)
        return "more than one Host\n";
    if (request.count(http::field::authorization) > 1)
        return "more than one Authorization\n";
    if (request.count(http::field::transfer_encoding) > 0)
        return "a request without a body has no Transfer-Encoding\n";
    return {};
}

/// A link on another site that is followed by a person is a navigation and may open the page; scripts of
/// other sites may read nothing of it.
bool is_cross_site(const WebRequest& request) {
    const auto named = [&request](const char* name) {
        const auto value = request[name];
        return std::string_view(value.data(), value.size());
    };
    if (is_same_word(named("Sec-Fetch-Site"), "cross-site") &&
        !is_same_word(named("Sec-Fetch-Mode"), "navigate"))
        return true;
    const std::string_view origin = field(request, http::field::origin);
    const auto scheme = origin.find("://");
    return !origin.empty() && (scheme == std::string_view::npos ||
                               origin.substr(scheme + 3) != field(request, http::field::host));
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos ? std::string_view()
                                           : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

} // namespace

bool is_host_allowed(std::string_view host, std::string_view hostname,
                     const std::vector<std::string>& names) {
    const std::string_view name = without_port(host);
    boost::system::error_code error;
    boost::asio::ip::make_address(std::string(name), error);
    // An address cannot be taken over by a foreign name server (DNS rebinding), a name can.
    if (!error)
        return true;
    if (is_same_word(name, "localhost") ||
        std::any_of(names.begin(), names.end(), [name](const auto& own) { return is_same_word(name, own); }))
        return true;
    const bool own = !hostname.empty() && is_same_word(name.substr(0, hostname.size()), hostname);
    return own && (name.size() == hostname.size() || is_same_word(name.substr(hostname.size()), ".local"));
}

bool is_gzip_accepted(std::string_view accept_encoding) {
    while (!accept_encoding.empty()) {
        const auto comma = std::min(accept_encoding.find(','), accept_encoding.size());
        const std::string_view item = accept_encoding.substr(0, comma);
        accept_encoding.remove_prefix(std::min(comma + 1, accept_encoding.size()));
        const auto semicolon = std::min(item.find(';'), item.size());
        if (!is_same_word(trimmed(item.substr(0, semicolon)), "gzip"))
            continue;
        // "q=0", "q=0.000": not wanted.
        const std::string_view weight = trimmed(item.substr(std::min(semicolon + 1, item.size())));
        return !weight.starts_with("q=0") || weight.find_first_of("123456789") != std::string_view::npos;
    }
    return false;
}

WebSite::WebSite(std::vector<std::string> names, const std::string& password,
                 std::map<std::string, WebPage> pages)
    : names_(std::move(names)), password_(password), pages_(std::move(pages)) {
    boost::system::error_code error;
    hostname_ = boost::asio::ip::host_name(error);
}

std::chrono::milliseconds WebSite::wait(const WebRequest& request, const std::string& address) const {
    // Whoever shows no password guesses nothing.
    if (!password_.is_asked() || address.empty() || request.count(http::field::authorization) == 0)
        return std::chrono::milliseconds(0);
    return password_.wait(address, std::chrono::steady_clock::now());
}

bool WebSite::is_admitted(const WebRequest& request, const std::string& address) {
    if (!password_.is_asked() || address.empty())
        return true;
    return request.count(http::field::authorization) > 0 &&
           password_.admits(field(request, http::field::authorization), address,
                            std::chrono::steady_clock::now());
}

WebAnswer WebSite::answer(const WebRequest& request, const std::string& address) {
    if (const std::string mistake = mistake_of(request); !mistake.empty())
        return {400, text_type, mistake};
    if (request.method() != http::verb::get && request.method() != http::verb::head)
        return {405, text_type, "read only: GET and HEAD\n"};
    const std::string target(request.target());
    const auto page = pages_.find(target.substr(0, target.find('?')));
    const bool is_for_any_host = page != pages_.end() && page->second.is_for_any_host;
    if (!is_for_any_host && !is_host_allowed(field(request, http::field::host), hostname_, names_))
        return {
            421, text_type,
            "use the gateway's address, localhost or its own name; other names are allowed with web.names "
            "in its configuration\n"};
    if (is_cross_site(request))
        return {403, text_type, "cross-site requests are refused\n"};
    const bool is_without_password = page != pages_.end() && page->second.is_without_password;
    // Before it is said which pages there are.
    if (!is_admitted(request, address)) {
        if (!is_without_password)
            return {401, text_type,
                    "the password of this gateway's page is needed (web.password); any user name\n"};
        const WebAnswer full = page->second.handler();
        return {full.status, text_type,
                full.status == 200 ? full.body : "not well; the reasons are told with the password\n"};
    }
    if (page == pages_.end())
        return {404, text_type, "no such page\n"};
    return page->second.handler();
}

WebAnswer WebSite::busy() {
    return {429, text_type, "too many wrong passwords from this address; try again later\n"};
}

} // namespace things
