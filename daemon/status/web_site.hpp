// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "status/web_password.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// What there is to see, and who may see it. Owned by the web server; loop only; opens nothing. Only GET and
// HEAD are answered; pages only for a Host that is an address, localhost, this machine's own name or a
// configured one (DNS rebinding), not for the scripts of other sites (Sec-Fetch-Site, Origin), and only with
// the password if there is one.
namespace things {

/// What a page's handler says. Security headers, length and connection handling are the server's.
struct WebAnswer {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
};

/// Called on the loop for each request; must not block and must not throw.
struct WebPage {
    std::function<WebAnswer()> handler;
    bool is_for_any_host = false;     ///< for programs, which ask by whatever name; nothing that is private
    bool is_without_password = false; ///< and says no more than its status to whoever has none
};

using WebRequest = boost::beast::http::request<boost::beast::http::string_body>;

/// Whether a page may be served under a Host header: an address literal, localhost, one of `names`, or
/// `hostname` with or without ".local"; a port may follow. Pure.
bool is_host_allowed(std::string_view host, std::string_view hostname,
                     const std::vector<std::string>& names = {});

/// A page is looked up by its path alone; what follows a `?` is cut off. Answers other than the pages' own:
/// 400 malformed, 401 no password, 403 cross-site, 404, 405, 421 a foreign Host, 429 too many wrong
/// passwords.
class WebSite {
public:
    WebSite(std::vector<std::string> names, const std::string& password,
            std::map<std::string, WebPage> pages);

    /// How long the request must wait because of earlier wrong passwords from its address; 0: not at all. An
    /// empty address is the Unix socket's, where file permissions say who may ask.
    [[nodiscard]] std::chrono::milliseconds wait(const WebRequest& request, const std::string& address) const;
    [[nodiscard]] WebAnswer answer(const WebRequest& request, const std::string& address);
    /// For one that would have to wait for too long.
    [[nodiscard]] static WebAnswer busy();

private:
    [[nodiscard]] bool is_admitted(const WebRequest& request, const std::string& address);

    std::vector<std::string> names_;
    std::string hostname_;
    WebPassword password_;
    std::map<std::string, WebPage> pages_;
};

/// Whether the client takes gzip, by its Accept-Encoding (RFC 9110 12.5.3). Pure.
bool is_gzip_accepted(std::string_view accept_encoding);

} // namespace things
