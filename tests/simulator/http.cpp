// SPDX-License-Identifier: Apache-2.0
#include "simulator/http.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace things::simulator {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

std::string to_lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), lower);
    return result;
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == text.npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string percent_decode(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
            result += static_cast<char>(value);
            i += 2;
        } else {
            result += text[i] == '+' ? ' ' : text[i];
        }
    }
    return result;
}

std::map<std::string, std::string> parse_query(std::string_view text) {
    std::map<std::string, std::string> result;
    while (!text.empty()) {
        const auto end = std::min(text.find('&'), text.size());
        const auto pair = text.substr(0, end);
        const auto equals = std::min(pair.find('='), pair.size());
        result[percent_decode(pair.substr(0, equals))] =
            equals < pair.size() ? percent_decode(pair.substr(equals + 1)) : std::string();
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

std::string http_date() {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    char text[40];
    return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

} // namespace

std::optional<std::string_view> Request::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (key == name)
            return value;
    return std::nullopt;
}

std::size_t Request::count(std::string_view name) const {
    return static_cast<std::size_t>(std::count_if(
        headers.begin(), headers.end(), [name](const auto& header) { return header.first == name; }));
}

std::variant<Request, std::string> parse_head(std::string_view head) {
    Request request;
    auto end = std::min(head.find("\r\n"), head.size());
    const auto line = head.substr(0, end);
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == line.npos || first == last || first == 0)
        return "the request line is malformed";
    const auto version = line.substr(last + 1);
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
        return "the version is not HTTP/1.1";
    request.method = line.substr(0, first);
    const auto target = line.substr(first + 1, last - first - 1);
    const auto question = std::min(target.find('?'), target.size());
    request.path = target.substr(0, question);
    if (question < target.size())
        request.query = parse_query(target.substr(question + 1));
    while (end < head.size()) {
        head.remove_prefix(std::min(end + 2, head.size()));
        end = std::min(head.find("\r\n"), head.size());
        const auto field = head.substr(0, end);
        if (field.empty())
            break;
        const auto colon = field.find(':');
        if (colon == field.npos || colon == 0 || field.substr(0, colon).find_first_of(" \t") != field.npos)
            return "a header is malformed";
        request.headers.emplace_back(to_lower(field.substr(0, colon)), trim(field.substr(colon + 1)));
    }
    const auto connection = to_lower(request.header("connection").value_or(""));
    request.keep_alive = version == "HTTP/1.1" ? connection != "close" : connection == "keep-alive";
    return request;
}

std::variant<std::size_t, std::string> body_size(const Request& request) {
    if (request.header("transfer-encoding"))
        return "Transfer-Encoding instead of Content-Length";
    const auto text = request.header("content-length");
    if (!text) {
        if (request.method == "GET" || request.method == "DELETE")
            return std::size_t{0};
        return "no Content-Length";
    }
    if (request.count("content-length") > 1)
        return "Content-Length twice";
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), size);
    if (text->empty() || error != std::errc() || end != text->data() + text->size())
        return "Content-Length is not a number";
    return size;
}

std::string render(int status, std::string_view body, std::string_view content_type,
                   const std::vector<std::pair<std::string, std::string>>& headers, bool keep_alive) {
    std::string out = "HTTP/1.1 " + std::to_string(status) + " \r\nDate: " + http_date() +
                      "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    if (!content_type.empty())
        out.append("Content-Type: ").append(content_type).append("\r\n");
    for (const auto& [name, value] : headers)
        out.append(name).append(": ").append(value).append("\r\n");
    out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    out += body;
    return out;
}

} // namespace things::simulator
