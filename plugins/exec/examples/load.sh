#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Talks by itself: the machine's load every ten seconds.
#   sources: {load: {plugin: exec, command: [/usr/local/bin/load.sh]}}
#   points: [{name: load}]
while read -r load _ </proc/loadavg; do
    echo "{\"point\":\"load\",\"value\":$load}"
    sleep "${INTERVAL:-10}"
done
