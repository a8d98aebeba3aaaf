// SPDX-License-Identifier: Apache-2.0
#include "simulator/behaviour.hpp"

#include <algorithm>
#include <array>

namespace things::simulator {
namespace {

using Kind = Behaviour::Kind;
constexpr std::array<std::pair<std::string_view, Kind>, 13> kinds = {{{"status", Kind::status},
                                                                      {"accept", Kind::accept},
                                                                      {"close", Kind::close},
                                                                      {"reset", Kind::reset},
                                                                      {"silent", Kind::silent},
                                                                      {"lost", Kind::lost},
                                                                      {"garbage", Kind::garbage},
                                                                      {"truncated", Kind::truncated},
                                                                      {"drip", Kind::drip},
                                                                      {"huge", Kind::huge},
                                                                      {"raw", Kind::raw},
                                                                      {"raw_taken", Kind::raw_taken},
                                                                      {"early", Kind::early}}};

std::string spoken(const Behaviour& behaviour, bool keep_alive) {
    std::vector<std::pair<std::string, std::string>> headers;
    if (!behaviour.retry_after.empty())
        headers.emplace_back("Retry-After", behaviour.retry_after);
    if (!behaviour.location.empty())
        headers.emplace_back("Location", behaviour.location);
    return render(behaviour.status, behaviour.body, behaviour.content_type, headers, keep_alive);
}

std::string head_of_body(std::uint64_t length) {
    return "HTTP/1.1 202 \r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(length) +
           "\r\nConnection: keep-alive\r\n\r\n";
}

std::string garbage() {
    std::string bytes("\x16\x03\x00\xff", 4);
    for (unsigned i = 0; i < 4096; ++i)
        bytes += static_cast<char>((i * 2654435761U) >> 24);
    return bytes;
}

} // namespace

std::optional<Kind> parse_kind(std::string_view text) {
    const auto found =
        std::find_if(kinds.begin(), kinds.end(), [text](const auto& kind) { return kind.first == text; });
    return found == kinds.end() ? std::nullopt : std::optional(found->second);
}

std::string_view name_of(Kind kind) {
    return std::find_if(kinds.begin(), kinds.end(),
                        [kind](const auto& other) { return other.second == kind; })
        ->first;
}

bool takes_the_pack(Kind kind) {
    return kind == Kind::accept || kind == Kind::lost || kind == Kind::truncated || kind == Kind::drip ||
           kind == Kind::huge || kind == Kind::raw_taken;
}

Answer spoil(const Behaviour& behaviour, Answer proper, bool keep_alive) {
    Answer answer = std::move(proper);
    answer.delay = behaviour.delay;
    switch (behaviour.kind) {
    case Kind::status:
    case Kind::accept:
        answer.bytes = spoken(behaviour, keep_alive);
        break;
    case Kind::close:
    case Kind::lost:
        answer.bytes.clear();
        answer.then = Answer::Then::close;
        break;
    case Kind::reset:
        answer.bytes.clear();
        answer.then = Answer::Then::reset;
        break;
    case Kind::silent:
        answer.bytes.clear();
        answer.then = Answer::Then::hang;
        break;
    case Kind::garbage:
        answer.bytes = garbage();
        answer.then = Answer::Then::close;
        break;
    case Kind::truncated:
        answer.bytes = "HTTP/1.1 202 \r\nContent-Length: 100\r\nConnection: keep-alive\r\n\r\n[{\"bn\":\"ur";
        answer.then = Answer::Then::close;
        break;
    case Kind::drip:
        answer.drip = behaviour.drip;
        break;
    case Kind::huge:
        answer.bytes = head_of_body(behaviour.bytes);
        answer.more = std::string(65536, '[');
        answer.more_bytes = behaviour.bytes;
        break;
    case Kind::early:
        answer.bytes = behaviour.body.empty() ? spoken(behaviour, false) : behaviour.body;
        answer.then = Answer::Then::close;
        break;
    case Kind::raw:
    case Kind::raw_taken:
        answer.bytes = behaviour.body;
        answer.more = behaviour.more;
        answer.more_bytes = behaviour.more.empty() ? 0 : behaviour.bytes;
        answer.then = Answer::Then::close;
        break;
    }
    return answer;
}

} // namespace things::simulator
