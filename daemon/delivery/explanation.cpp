// SPDX-License-Identifier: Apache-2.0
#include "delivery/explanation.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <tuple>
#include <utility>

namespace things {

namespace {

using Advice = std::pair<std::string, std::string>; // cause, remedy

const std::string nothing_lost = " Nothing is lost meanwhile: the readings stay in the queue.";

Advice advise_on_certificate(const Answer& answer, const Circumstances& around) {
    if (!around.is_clock_plausible)
        return {"This machine's clock is wrong, so that no certificate is valid for it.",
                "Set the clock (timedatectl), or let it reach a time server (UDP port 123)." + nothing_lost};
    if (answer.detail.find("not yet valid") != std::string::npos)
        return {"The certificate is not valid yet: this machine's clock is probably slow.",
                "Check the clock with timedatectl." + nothing_lost};
    if (answer.detail.find("expired") != std::string::npos)
        return {"The certificate has expired, or this machine's clock is fast.",
                "Check the clock with timedatectl; if it is right, the host's operator must renew the "
                "certificate." +
                    nothing_lost};
    return {
        "The host that answered could not prove that it is " + around.host +
            ": a captive portal or an intercepting proxy stands in between, or the certificate authority is "
            "missing here.",
        "Check the network, update the package ca-certificates, or name the right file in things.ca_file. "
        "The "
        "token was not sent." +
            nothing_lost};
}

Advice advise_on_network(const Answer& answer, const Circumstances& around) {
    switch (answer.error) {
    case TransportError::resolve:
        return {"The name " + around.host +
                    " has no address here: no network, or the DNS server does not answer.",
                "Check the cable, the SIM or the Wi-Fi, and `resolvectl query " + around.host + "`." +
                    nothing_lost};
    case TransportError::connect:
        return {"No connection to " + around.host + ": no route, or a firewall blocks its TCP port.",
                "Allow outgoing TCP to the port of things.url (443 if it names none), or set things.proxy." +
                    nothing_lost};
    case TransportError::proxy:
        if (answer.proxy_status == 407)
            return {
                "The proxy wants a user name and a password (407), or does not accept those it got" +
                    (answer.proxy_offers.empty() ? "." : "; it offers: " + answer.proxy_offers + "."),
                "Set things.proxy_user and things.proxy_password; things.proxy_auth if only one way works." +
                    nothing_lost};
        if (answer.proxy_status != 0)
            return {fmt::format("The proxy answered {} and lets nobody through to {}.", answer.proxy_status,
                                around.host),
                    "Ask who runs the proxy to allow " + around.host + " by CONNECT, or check things.proxy." +
                        nothing_lost};
        return {"The proxy could not be found or does not let us through.",
                "Check things.proxy, or https_proxy and no_proxy of the service's environment." +
                    nothing_lost};
    case TransportError::certificate:
        return advise_on_certificate(answer, around);
    case TransportError::tls:
        return {"The TLS handshake failed: the host does not speak TLS 1.2 or newer, or something in between "
                "interferes.",
                "Check for a proxy or firewall that opens TLS." + nothing_lost};
    case TransportError::timeout:
        return {"The link is too slow or loses too much, or the platform is overloaded.",
                "Check the signal; on a very slow link raise things.timeout." + nothing_lost};
    case TransportError::cancelled:
        return {"The post was ended by the gateway itself, to stop or because the network changed.",
                "Nothing to do." + nothing_lost};
    case TransportError::not_signed:
        return {"This machine could not compute the token (SHA-256 of OpenSSL failed), so nothing was sent: "
                "it is short "
                "of memory, or its OpenSSL is restricted or damaged.",
                "Look at the free memory (free -m) and try `openssl dgst -sha256 /dev/null`." + nothing_lost};
    case TransportError::internal:
        return {"The HTTP library of this machine failed.",
                "Look at the free memory (free -m) and the limit of open files." + nothing_lost};
    case TransportError::too_large:
        return {"What answered at " + around.host + " sends more than any answer of the platform.",
                "Check things.url, and whether a proxy stands in between." + nothing_lost};
    case TransportError::bad_answer:
        return {"What answered at " + around.host + " does not speak HTTP as it should.",
                "Check things.url, and whether a proxy stands in between." + nothing_lost};
    default:
        return {"The connection ended before the answer was complete.",
                "If it goes on, check the link." + nothing_lost};
    }
}

Advice advise_on_status(const Answer& answer, const Circumstances& around) {
    switch (answer.status) {
    case 401:
        return {"The platform could not verify the token: the secret of " + around.device +
                    " here is not the Shared Secret in the Portal.",
                "Copy the Shared Secret from the Portal (it is case sensitive; no space or line end belongs "
                "to it), "
                "then reload. The device drains by itself."};
    case 403:
        return {"The platform forbids this device to send: it may be deactivated, or the account lacks the "
                "right.",
                "Check the device's state in the Portal. It drains by itself when it is allowed again."};
    case 404:
        return {"The platform does not know the DvnUUID " + around.dvnuuid +
                    ", or things.url has a wrong path.",
                "Register " + around.device +
                    " in the Portal with exactly this DvnUUID, or correct dvnuuid here. "
                    "The device drains by itself."};
    case 413:
        return {
            "The pack is larger than the platform takes.",
            "Nothing to do: smaller packs are sent from now on. Lower batch.max_bytes to avoid the detour. "
            "If single readings are refused like this, a proxy in between has a limit of its own."};
    case 429:
        return {"More posts than the platform or the account's quota allows.",
                "Raise batch.max_age or set things.min_interval." + nothing_lost};
    case 408:
    case 425:
        return {"The platform gave up waiting for the request.",
                "If it goes on, check the link." + nothing_lost};
    default:
        break;
    }
    if (answer.status >= 500)
        return {"The platform has a problem of its own.",
                "Wait; if it lasts for hours, ask KPN Things support." + nothing_lost};
    if (answer.status >= 300 && answer.status < 400)
        return {answer.location.empty() ? "The URL is not where packs are taken."
                                        : "The URL is not where packs are taken; the answer points to " +
                                              answer.location.substr(0, 200) + ".",
                "Correct things.url. Redirects are never followed, because the token must not reach another "
                "host." +
                    nothing_lost};
    if (answer.status >= 200 && answer.status < 300)
        return {"Something in between answers for the platform: a captive portal, a maintenance page, a "
                "proxy or a "
                "wrong path in things.url. The platform answers 202, or a SenML pack.",
                "Open " + around.host +
                    " in a browser on this network, log in where a portal asks for it, and check "
                    "things.url and things.proxy." +
                    nothing_lost};
    return {"The platform did not accept the content.",
            "See the pack with `send " + around.device +
                " --dry-run`; readings that are refused alone are set aside, see `queue list`."};
}

/// What the answer's Date header says about our clock, if it is far off.
std::string find_clock_difference(const Answer& answer, const Circumstances& around) {
    const auto theirs = parse_http_date(answer.date);
    if (!theirs)
        return {};
    const std::int64_t off = around.now_wall_ms / 1000 - *theirs;
    // Two minutes: less is the time the answer took, and does no harm.
    if (std::llabs(off) < 120)
        return {};
    return fmt::format(" This machine's clock is {} s {} of the platform's.", std::llabs(off),
                       off > 0 ? "ahead" : "behind");
}

} // namespace

std::string Explanation::text() const {
    std::string all = answer;
    for (const std::string* part : {&cause, &remedy})
        if (!part->empty())
            all += " " + *part;
    return all;
}

Explanation explain(const Answer& answer, const Circumstances& around) {
    const Verdict verdict = judge(answer, around.now_wall_ms);
    Explanation explanation;
    explanation.answer = fmt::format("{} {} {}.", around.host,
                                     answer.status == 0 ? "did not answer:" : "answered", verdict.reason);
    if (verdict.next == Next::delivered)
        explanation.answer = fmt::format("{} accepted the pack: {}.", around.host, verdict.reason);
    else if (verdict.next == Next::delivered_with_error)
        explanation.cause = "The pack was accepted; only the rest of the answer got lost on the way.";
    else
        std::tie(explanation.cause, explanation.remedy) =
            answer.status < 200 ? advise_on_network(answer, around) : advise_on_status(answer, around);
    explanation.answer += find_clock_difference(answer, around);
    return explanation;
}

} // namespace things
