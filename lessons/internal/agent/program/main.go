// Command program is the agent: process 1 of the virtual machine.
package main

import "stagebox/lessons/internal/agent"

func main() { agent.Main() }
