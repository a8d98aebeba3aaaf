// SPDX-License-Identifier: Apache-2.0
#include "platform/link_watch.hpp"

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include <arpa/inet.h>
#include <linux/rtnetlink.h>

namespace {

void append(std::string& to, const void* data, std::size_t size) {
    to.append(static_cast<const char*>(data), size);
    to.resize((to.size() + 3) / 4 * 4);
}

std::string attribute(unsigned short type, const std::string& value) {
    std::string text;
    const rtattr head{static_cast<unsigned short>(sizeof(rtattr) + value.size()), type};
    append(text, &head, sizeof head);
    append(text, value.data(), value.size());
    return text;
}

std::string message(int type, const std::string& body) {
    nlmsghdr head{};
    head.nlmsg_len = static_cast<unsigned>(sizeof head + body.size());
    head.nlmsg_type = static_cast<unsigned short>(type);
    std::string text;
    append(text, &head, sizeof head);
    return text + body;
}

std::string address(int type, const std::string& bytes, unsigned char scope = RT_SCOPE_UNIVERSE) {
    ifaddrmsg head{};
    head.ifa_family = AF_INET;
    head.ifa_scope = scope;
    head.ifa_index = 2;
    std::string body;
    append(body, &head, sizeof head);
    return message(type, body + attribute(IFA_ADDRESS, bytes));
}

std::string route(int type, unsigned char length, const std::string& gateway) {
    rtmsg head{};
    head.rtm_family = AF_INET;
    head.rtm_dst_len = length;
    head.rtm_table = RT_TABLE_MAIN;
    head.rtm_type = RTN_UNICAST;
    std::string body;
    append(body, &head, sizeof head);
    return message(type, body + attribute(RTA_GATEWAY, gateway));
}

} // namespace

TEST_CASE("a new address or default route is news, a refreshed one is not") {
    things::LinkState state;
    CHECK(state.apply(address(RTM_NEWADDR, "\x0a\x01\x02\x03")));
    CHECK_FALSE(state.apply(address(RTM_NEWADDR, "\x0a\x01\x02\x03")));
    CHECK(state.apply(address(RTM_NEWADDR, "\x0a\x01\x02\x04")));
    CHECK_FALSE(state.apply(address(RTM_DELADDR, "\x0a\x01\x02\x03")));
    CHECK(state.apply(address(RTM_NEWADDR, "\x0a\x01\x02\x03")));
    CHECK_FALSE(state.apply(address(RTM_NEWADDR, "\x7f\x01\x02\x03", RT_SCOPE_HOST)));
    CHECK_FALSE(state.apply(address(RTM_NEWADDR, "\xa9\xfe\x02\x03", RT_SCOPE_LINK)));
    CHECK(state.apply(route(RTM_NEWROUTE, 0, "\x0a\x01\x02\x01")));
    CHECK_FALSE(state.apply(route(RTM_NEWROUTE, 0, "\x0a\x01\x02\x01")));
    CHECK_FALSE(state.apply(route(RTM_NEWROUTE, 24, "\x0a\x01\x02\x01")));
    CHECK(state.apply(route(RTM_NEWROUTE, 24, "\x0a\x01\x02\x01") +
                      route(RTM_NEWROUTE, 0, "\x0a\x01\x02\x02")));
}

TEST_CASE("any bytes are taken without harm") {
    std::mt19937 random(1);
    const std::string good =
        address(RTM_NEWADDR, "\x0a\x01\x02\x03") + route(RTM_NEWROUTE, 0, "\x0a\x01\x02\x01");
    for (int i = 0; i < 100'000; ++i) {
        things::LinkState state;
        std::string text = good.substr(0, random() % (good.size() + 1));
        for (int flips = 0; flips < 3 && !text.empty(); ++flips)
            text[random() % text.size()] = static_cast<char>(random());
        static_cast<void>(state.apply(text));
    }
}

TEST_CASE("a watch can be made and dropped") {
    boost::asio::io_context loop;
    {
        const things::LinkWatch watch(loop, [] {});
        loop.poll();
    }
    loop.restart();
    loop.poll();
}
