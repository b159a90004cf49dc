/** Queues recorded as sojourn-recordings.ts says, one from each number of senders. */
import type { Recording } from './sojourn-recordings.js';

export const RECORDINGS: readonly Recording[] = [
  {
    name: 'one sender',
    senders: 1,
    rttUs: 20000,
    canMark: false,
    events: `
    0+ 0- 0+ 0+ 0+ xo- xo- xo- cmk+ 0- 0+ xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo- xo- xo- xo- 8vw+ 0- 0+ xo+ 0+ 0-
    xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo- xo- xo- xo- xo- xo- xo- xo- 1ek+ 0- 0+
    xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+
    0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs-
    gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+
    gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs-
    gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+
    gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs-
    gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+
    gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs-
    gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+
    gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs!- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs-
    gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+ gs- gw+ 0+
    gs- gw+ 0+ gs- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs!-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs!- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs!- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- xo- xo- xo- xo- xo- xo- xo- 47k+ 0- xo+ 0- xo+ 0- xo+ 0-
    xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 39w+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0-
    xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 2c8+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0-
    xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 1ek+ 0- xo+ 0- xo+ 0- xo+ 0-
    xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs!- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- xo- xo- xo- xo- xo- xo- xo- 47k+ 0- xo+ 0-
    xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 39w+ 0- xo+ 0- xo+ 0-
    xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 2c8+ 0- xo+ 0- xo+ 0-
    xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 1ek+ 0- xo+ 0-
    xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    0+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+
    gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs!- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ 0+ gs- gw+ gs- gw+ gs-
    gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- xo- xo- xo- xo- xo- xo- xo- 47k+
    0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 39w+ 0- xo+
    0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 2c8+ 0- xo+
    0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo- 1ek+
    0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0+ 0- xo+ 0- xo+ 0- xo+ 0- xo+ 0-
    xo+ 0- xo- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs- gw+ gs-
`,
  },
  {
    name: 'six senders',
    senders: 6,
    rttUs: 30000,
    canMark: false,
    events: `
    0+ 0- 0+ 0+ 0+ xo- xo- xo- cmk+ 0- 0+ 0+ 0+ xo- xo- xo- 4ws+ 0- 0+ xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo- xo-
    xo- xo- 164+ 0- 0+ 0+ 0+ xo- xo- xo- 784+ 0- 0+ xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo- xo- q4+ 0+ 0+ 0+ 0+ 0+
    7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- xo- xo- xo- xo- xo- ww+
    0+ s- ww+ 0+ s- ww+ 0+ s- ww+ 0+ s- 9c+ 0+ 0+ 0+ oc- xo- xo- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+
    0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- xo- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ w+ 0+ 0+ 0+ 7g- pc+
    0+ 8c- 60+ 0+ jc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+
    0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- xo- xo- xo- xo- xo- no+ 0+ a0- no+ 0+ a0-
    no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+
    q0- 7o+ 0+ ec+ 0+ bo- 7o+ 0+ ec+ 0+ bo- 7o+ 0+ ec+ 0+ bo- 7o+ 0+ ec+ 0+ bo- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+
    q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ ho+ 0+ 8c- 7o+ 0+ ho+ 0+ 8c- 7o+ 0+ ho+ 0+ 8c- pc+ 0+ 8c- pc+
    0+ 8c- pc+ 0+ 8c- xo- xo- xo- xo- pc+ 0+ 8c- pc+ 0+ 8c- xo!- xo- pc+ 0+ 8c- pc+ 0+ 8c- xo- xo- pc+ 0+ 8c-
    4c+ 0+ l0+ 0+ 8c- 4c+ 0+ 1o+ 0+ ro- 4c+ 0+ 1o+ 0+ ro- 4c+ 0+ l0+ 0+ 8c- pc+ 0+ 8c- 60+ 0+ ro- 60+ 0+ ro-
    pc+ 0+ 8c- pc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- 60+ 0+
    jc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- no+ 0+ a0- no+ 0+
    a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0-
    no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- 7o+ 0+ g0+ 0+ a0- 7o+ 0+ g0+ 0+ a0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+
    0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- 7o+ 0+ q0- 7o+ 0+ ec+ 0+ bo- m0+ 0+
    bo- xo- 7o+ 0+ q0- 7o+ 0+ ec+ 0+ bo- m0+ 0+ bo- xo- 7o+ 0+ q0- 7o+ 0+ ec+ 0+ bo- 7o+ 0+ ec+ 0+ bo- 7o+ 0+
    q0- 7o+ 0+ q0- 7o+ 0+ ec+ 0+ bo- 7o+ 0+ ec+ 0+ bo- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+
    q0!- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- xo- xo-
    xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- 4c+ 0+ tc-
    4c+ 0+ 1o+ 0+ ro- 60+ 0+ ro- xo- 4c+ 0+ tc- 4c+ 0+ 1o+ 0+ ro- 60+ 0+ ro- xo- 4c+ 0+ tc- 4c+ 0+ tc- xo-
    xo- 4c+ 0+ tc- 4c+ 0+ 1o+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- xo- xo- xo- pc+ 8c!- 60+ 0+ jc+ 8c- 60+
    0+ jc+ 8c- pc+ 8c- pc+ 8c- 60+ 0+ ro- 60+ 0+ ro- pc+ 8c- pc+ 0+ 8c- xo- xo- pc+ 8c- pc+ 8c- 60+ 0+ jc+
    8c- 60+ 0+ jc+ 8c- pc+ 8c- pc+ 8c- 60+ 0+ jc+ 8c- 60+ 0+ jc+ 8c- xo- xo- xo- xo- xo- no+ 0+ a0- no+ 0+
    a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo- no+ a0!- 7o+ 0+ g0+ 0+ a0- 7o+ 0+ g0+ a0- xo- xo- 7o+ 0+ g0+ a0- 7o+ 0+ g0+ a0- xo- xo-
    7o+ 0+ g0+ a0- 7o+ 0+ g0+ a0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+
    q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0-
    7o+ 0+ q0- xo- xo- xo- xo- xo- xo- xo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- xo- xo- xo!- xo- m0+
    0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- xo- xo- xo- xo- m0+ 0+ bo- m0+ 0+ bo- xo- xo- m0+ 0+ bo- m0+ 0+
    bo- xo- xo- xo- xo- xo- xo- m0+ 0+ bo- m0+ 0+ bo- xo- xo- m0+ 0+ bo- m0+ 0+ bo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo!- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- 60+ 0+ ro- 4c+ 0+ 1o+ 0+ ro- 4c+ 0+
    1o+ 0+ ro- 4c+ 0+ 1o+ 0+ ro- 4c+ 0+ tc- xo- xo- xo- 60+ 0+ ro- 4c+ 0+ 1o+ 0+ ro- 4c+ 0+ 1o+ 0+ ro- 4c+ 0+
    1o+ 0+ ro- 4c+ 0+ tc- xo- xo- xo- xo- 4c+ 0+ tc- 4c+ 0+ tc- 4c+ 0+ 1o+ 0+ jc+ 8c- 4c+ 0+ 1o+ 0+ ro!- 4c+
    0+ 1o+ 0+ ro- 4c+ 0+ 1o+ 0+ jc+ 8c- 4c+ 0+ 1o+ 0+ ro- 60+ 0+ ro- 60+ 0+ jc+ 8c- 60+ 0+ jc+ 8c- pc+ 8c-
    60+ 0+ ro- 60+ 0+ ro- xo- 60+ 0+ ro- 60+ 0+ jc+ 8c- pc+ 8c- pc+ 8c- pc+ 0+ 8c- 60+ 0+ jc+ 8c- 60+ 0+ ro-
    60+ 0+ ro- 60+ 0+ jc+ 8c- xo- xo- pc+ 8c- pc+ 8c- pc+ 8c- 60+ 0+ ro- 60+ 0+ jc+ 8c- xo- 60+ 0+ ro- 60+ 0+
    jc+ 8c- xo- xo!- xo- xo- xo- no+ a0- no+ a0- no+ a0- no+ a0- no+ a0- no+ a0- no+ a0- no+ a0- no+ a0- no+
    a0- no+ a0- no+ a0- no+ a0- xo- xo- no+ a0- no+ 0+ a0- xo- xo- no+ a0- xo- xo- no+ a0- xo- xo- no+ a0!-
    xo- no+ a0- xo- xo- no+ a0- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    7o+ q0- 7o+ q0- 7o+ q0- xo!- xo- xo- xo- xo- 7o+ q0- 7o+ q0- 7o+ q0- 7o+ 0+ q0- xo- xo- xo- xo- xo- xo-
    xo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo-
    m0+ 0+ bo- m0+ 0+ bo!- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+ 0+ bo- m0+
    0+ bo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo!- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo!- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- 4c+ tc- xo- xo- 4c+ tc- 4c+ tc- xo- xo- 4c+ tc- 4c+ 0+ tc- xo- xo- 4c+ tc!- 4c+ tc- xo- xo- 60+ ro-
    4c+ 1o+ 0+ ro- 4c+ 1o+ ro- 60+ ro- xo- 60+ ro- xo- xo- xo- xo- xo- pc+ 8c- pc+ 8c- xo- xo- pc+ 8c- xo-
    xo- xo!- xo- xo- pc+ 8c- pc+ 0+ 8c- pc+ 8c- pc+ 8c- xo- xo- xo- 60+ ro- 60+ jc+ 8c- xo- xo- xo- 60+ ro-
    60+ jc+ 8c- 60+ ro- 60+ ro- xo- 60+ ro- 60+ ro- 60+ ho+ a0!- 60+ ho+ a0- no+ a0- no+ a0- no+ a0- no+ a0-
    no+ a0- no+ a0- xo- xo- xo- xo- xo- xo- xo- xo- xo- no+ a0- 7o+ g0+ a0- 7o+ g0+ a0- 7o+ q0!- 7o+ q0- 7o+
    q0- 7o+ q0- 7o+ q0- 7o+ q0- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo!- xo- xo- xo- xo-
    xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo!- m0+ bo- m0+ 0+
    bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- xo- xo- xo- 4c+ tc- 4c+ tc- 4c+ 1o+ 0+ jc+ 8c- 4c+
    l0+ 8c- 4c+ 1o+ jc+ 8c- 4c+ 0+ 1o+ jc+ 8c- pc+ 8c- 60+ jc+ 8c!- 60+ jc+ 0+ 8c- 60+ jc+ 8c- xo- xo- pc+
    8c- xo- pc+ 8c- xo- xo- xo- 60+ ro- 60+ ro- xo- xo- xo- xo- xo- no+ a0!- xo- no+ 0+ a0- no+ a0- no+ a0-
    no+ a0- no+ a0- no+ a0- 7o+ 0+ g0+ a0- no+ a0- xo- no+ a0- no+ a0- xo- 7o+ q0- 7o+ q0- 7o+ q0- xo- xo!-
    xo- xo- xo- xo- xo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ bo- m0+ 0+ 3c+
    8c- m0+ bo- pc+ 8c- xo!- xo- pc+ 8c- 60+ ro- 60+ ro- xo- 4c+ l0+ 8c- 4c+ tc- xo- 60+ ro- xo- 4c+ tc- xo-
    4c+ 1o+ ro- pc+ 8c- 60+ 0+ jc+ 8c- 4c+ tc- 4c+ 0+ 1o+ ro!- xo- xo- 60+ ro- xo- xo- no+ a0- 60+ ho+ a0-
    60+ ho+ a0- no+ 0+ a0- no+ a0- 7o+ g0+ a0- 7o+ 0+ g0+ a0- xo- xo- xo- xo- 7o+ q0!- 7o+ q0- 7o+ q0- xo-
    xo- xo- xo- xo- xo- xo- pc+ 8c- xo- pc+ 0+ 8c- pc+ 8c- m0+ 0+ bo- m0+ bo- m0+ bo!- m0+ 3c+ 8c- xo- xo-
    xo- xo- 60+ ro- 60+ jc+ 8c- xo- pc+ 8c- xo- 60+ ro- xo- 4c+ tc- 60+ ro- 4c+ tc- 60+ ro!- 4c+ tc- 4c+ tc-
    xo- xo- xo- no+ a0- 4c+ tc- 4c+ jc+ a0- 4c+ 0+ jc+ a0- 60+ 1o+ g0+ a0- no+ 0+ a0- xo- no+ a0- pc+ 8c- 7o+
    0+ g0+ 1o+ 8c- 7o+ ho+ 0+ 8c- pc+ 8c- xo- xo- xo- xo- xo- pc+ 8c- xo- pc+ 8c- pc+ 8c- xo- m0+ bo- m0+ bo-
    m0+ bo- m0+ 0+ bo- 60+ g0+ bo- 60+ ro- xo- 60+ ro- xo- 60+ ro- xo- 60+ ho+ a0- xo- 4c+ tc- no+ a0- 4c+
    tc- xo- 4c+ 3c+ g0+ a0- 4c+ tc- pc+ 8c- 4c+ jc+ a0- 4c+ 1o+ ho+ a0- no+ a0- 4c+ 3c+ g0+ 0+ 1o+ 8c- 4c+
    3c+ 0+ q0- pc+ 8c- pc+ 8c- 7o+ g0+ 1o+ 0+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- m0+ bo- m0+ bo- m0+ bo- 60+ 0+ g0+ bo- m0+ bo- 60+ ro- 60+ g0+ 0+ 1o+ a0- 60+ ro- 60+ ho+ a0- 7o+ ho+
    8c- xo- xo- no+ a0- xo- xo- 4c+ 0+ tc- no+ a0- 4c+ tc- 4c+ tc- no+ a0- 7o+ g0+ 1o+ 8c- 4c+ 1o+ ro- xo-
    4c+ jc+ a0- no+ 0+ 1o+ 8c- 4c+ 3c+ ho+ 8c- 7o+ q0!- xo- pc+ 8c- 4c+ 3c+ 0+ ho+ 0+ 8c- pc+ 8c- pc+ 8c- no+
    1o+ 8c- xo- 4c+ tc- xo- xo- xo- xo- xo- xo- xo- xo- m0+ bo!- 60+ g0+ bo- 60+ g0+ bo- xo- xo- 60+ 0+ g0+
    bo- 60+ g0+ 1o+ 1o+ 8c- xo- 7o+ q0- m0+ 1o+ a0- 60+ g0+ 0+ bo- 60+ ro- no+ a0- xo- no+ a0- pc+ 8c- 7o+
    q0!- no+ a0- xo- no+ a0- xo- xo- pc+ 8c- xo- no+ a0- 60+ ho+ a0- no+ a0- 7o+ q0- 7o+ q0- 4c+ tc- xo- 4c+
    3c+ q0!- 7o+ 0+ ho+ 8c- pc+ 8c- xo- pc+ 8c- 4c+ 0+ tc- xo- xo- no+ 0+ a0- 4c+ tc- xo- xo- xo- xo- xo- 60+
    ro!- m0+ 3c+ 8c- 60+ ro- 4c+ 1o+ g0+ bo- 60+ 0+ ro- 7o+ g0+ a0- 60+ ro- xo- xo- no+ a0- pc+ 8c- xo- xo-
    60+ ro- 7o+ g0+ 1o+ 8c- xo- 60+ g0+ 0+ bo!- m0+ bo- xo- xo- xo- xo- 7o+ q0- 7o+ g0+ a0- 60+ ro- pc+ 8c-
    7o+ ho+ 0+ 8c- 7o+ ho+ 8c- xo- xo- xo!- xo- xo- xo- 4c+ tc- 4c+ jc+ 1o+ 8c- no+ a0- xo- xo- xo- xo- 4c+
    1o+ ro- 4c+ tc- xo- 60+ g0+ bo- 4c+ 0+ l0+ 8c- 60+ ro- no+ a0- 60+ ro- m0+ 1o+ 0+ 1o+
`,
  },
  {
    name: 'four senders that can be marked',
    senders: 4,
    rttUs: 30000,
    canMark: true,
    events: `
    0+ 0- 0+ 0+ 0+ xo- xo- xo- cmk+ 0- 0+ 0+ 0+ xo- xo- xo- 4ws+ 0- 0+ xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo- xo-
    xo- xo- 164+ 0- 0+ 0+ 0+ xo- xo- xo- 784+ 0- 0+ xo+ 0+ 0- xo+ 0+ 0- xo+ 0+ 0- xo- xo- q4+ 0+ 0+ 0+ 0+ 0+
    7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- q4+ 0+ 7k- xo- xo- xo- xo- xo- ww+
    0+ s- ww+ 0+ s- ww+ 0+ s- ww+ 0+ s- xo- xo- xo- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+
    0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- xo- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c-
    60+ 0+ jc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+
    8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- xo- xo- xo- xo- xo- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+ 0+ a0- no+
    0+ a0- no+ 0+ a0- 7o+ 0+ g0+ 0+ a0- 7o+ 0+ g0+ 0+ a0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+
    q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ ho+ 0+ 8c- 7o+ 0+ ho+ 0+ 8c-
    7o+ 0+ ho+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- xo- xo- pc+ 0+ 8c- pc+ 0+ 8c-
    xo- xo- pc+ 0+ 8c- pc+ 0+ 8c- 60+ 0+ ro^- 60+ 0+ ro- pc+ 0+ 8c- pc+ 0+ 8c- 60+ 0+ ro- 60+ 0+ ro- pc+ 0+
    8c- pc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- 60+ 0+ jc+ 0+ 8c- 60+ 0+ jc+ 0+
    8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c-
    pc+ 0+ 8c- xo- xo- xo- xo- xo- no+ 0+ a0- xo- xo- xo- xo- xo- xo- xo- xo- no+ a0- 7o+ 0+ g0+ a0- 7o+ 0+
    g0+ a0- xo- xo- 7o+ 0+ g0+ a0- 7o+ 0+ g0+ a0- xo- xo- 7o+ 0+ g0+ 0+ a0- 7o+ 0+ g0+ a0- 7o+ 0+ q0- 7o+ 0+
    q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0-
    7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ ho+ 0+ 8c-
    7o+ 0+ ho+ 0+ 8c- 7o+ 0+ q0- xo- pc+ 0+ 8c- 7o+ 0+ ho+ 0+ 8c- 7o+ 0+ q0- xo- pc+ 0+ 8c- 7o+ 0+ ho+ 0+ 8c-
    7o+ 0+ ho+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c^- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+
    8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c-
    xo- xo- xo- xo- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- pc+ 0+ 8c- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro-
    xo- xo- xo- xo- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- xo- xo- xo- xo- 60+ 0+ ro- 60+ 0+ ro- xo- xo-
    60+ 0+ ro- 60+ 0+ ro- xo- xo- xo- xo- xo- xo- 60+ 0+ ro- 60+ 0+ ro- xo- xo- 60+ 0+ ro- 60+ 0+ ro- xo- xo-
    xo- xo^- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- no+ a0- 7o+ 0+ g0+ a0- 7o+ 0+ g0+
    a0- xo- 7o+ 0+ q0- 7o+ 0+ g0+ a0- xo- 7o+ 0+ q0- 7o+ 0+ g0+ a0- xo- 7o+ 0+ q0- 7o+ 0+ g0+ a0- xo- 7o+ 0+
    q0- 7o+ 0+ q0- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- xo- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0-
    7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0^- 7o+ 0+ q0- 7o+
    0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0-
    7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+
    q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- xo-
    xo- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo^- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- 7o+ 0+ q0-
    7o+ 0+ q0- xo- xo- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo^- xo- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c-
    pc+ 8c- pc+ 0+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- xo- xo- xo- xo- xo- xo- xo- xo- 60+ 0+ ro- 60+ 0+ ro-
    60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- 60+ 0+ ro- xo- xo^- xo- xo-
    xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- 7o+ 0+ q0- 7o+ 0+ g0+ a0- xo- 60+ 0+ 1o+ 0+ q0-
    7o+ 0+ g0+ a0- xo- 7o+ 0+ q0- 7o+ 0+ g0+ a0- 7o+ 0+ q0- 7o+ 0+ q0- xo- xo- no+ a0- xo- xo^- xo- xo- no+
    a0- xo- xo- xo- xo- no+ a0- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo^- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo^- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo- xo^- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo-
    xo- xo- xo^- xo- xo- xo- xo- xo- xo- xo- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c-
    pc+ 8c- pc+ 0+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- pc+ 8c- xo- xo^- xo- xo- xo- xo- xo- xo- 60+ ro- 60+ ro- 60+
    ro- xo- xo- xo- xo- xo- xo- xo- xo- xo- xo- 60+ ro- 60+ ro- 60+ ro- 60+ ro^- 60+ ro- 60+ ro- 60+ ro- xo-
    no+ 0+ a0- 7o+ 0+ q0- 7o+ q0- 7o+ q0- 60+ 1o+ q0- 60+ ro- 7o+ q0- 7o+ g0+ a0- 7o+ q0- 7o+ q0- xo- 7o+ q0-
    7o+ g0+ a0- 7o+ q0- 7o+ q0- pc+ 8c- pc+ 8c- no+ 1o+ 8c^- no+ 1o+ 8c- no+ 1o+ 8c- xo- xo- xo- xo- xo- xo-
    xo- pc+ 8c- pc+ 8c- pc+ 0+ 8c- xo- xo- xo- xo- xo- xo- xo- xo- 60+ ro- 60+ ro^- 60+ ro- 60+ ro- 60+ 0+
    ro- 60+ ro- 60+ ro- 60+ ho+ a0- 60+ ho+ 0+ a0- 60+ ro- xo- xo- xo- xo- xo- 7o+ q0- 60+ ro- 7o+ q0- 60+
    1o+ 0+ g0+ a0- 7o+ q0- 7o+ q0- pc+ 8c^- 7o+ ho+ 8c- 7o+ g0+ a0- pc+ 8c- xo- xo- xo- no+ a0- xo- no+ a0-
    pc+ 8c- no+ 1o+ 8c- xo- xo- xo- xo- xo- xo- xo- xo- 60+ ro- 60+ ro- 60+ ro- 60+ ro- 60+ ro- 60+ 0+ ro-
    60+ ho+ a0- 60+ ro- 60+ ho+ a0- 7o+ g0+ 0+ a0- 60+ ro- 7o+ q0- xo- 7o+ q0- 7o+ 0+ q0- pc+ 0+ 8c- 7o+ q0-
    7o+ g0+ 1o+ 8c- xo- 7o+ q0- pc+ 8c- 7o+ q0- xo- pc+ 8c- no+ a0- pc+ 8c- no+ a0- no+ a0- xo- no+ a0- xo-
    xo- xo- xo- xo- xo- 13o+ 0- xo+ 0- xo+ 0- ho+ g0+ 0- xo+ 0- 1o+ w0- ho+ g0+ 0- xo+ 0- ho+ g0- 1o+ g0+ g0-
    1o+ ho+ ec- 1o+ ho+ ec- 1o+ 0+ w0+ 0- xo- xo- 1o+ ho+ 0+ ec- 1o+ w0- jc+ ec- xo- 1o+ g0+ 0+ 1o+ ec- xo-
    1o+ ho+ ec- xo- xo- xo- ho+ g0- xo- ho+ g0- ho+ g0- ho+ g0- xo- xo- xo- 60+ 0+ ho+ a0- 60+ 1o+ q0- 60+
    ro- xo- 60+ ho+ a0- 60+ ro- 7o+ ho+ 8c- no+ a0- 60+ 1o+ ho+ 8c- 60+ ho+ a0- 7o+ q0- xo- 7o+ q0- 7o+ ho+
    8c- pc+ 0+ 8c- 7o+ 0+ q0- pc+ 8c- xo- 7o+ q0- 60+ ro- 7o+ ho+ 8c- xo- pc+ 8c- no+ a0- 7o+ g0+ 0+ a0- xo-
    xo- xo- no+ a0- no+ a0- no+ a0- no+ a0- xo- xo- 7o+ g0+ a0- 60+ ro- 60+ ro- pc+ 8c- 60+ 0+ ro- 7o+ g0+
    a0- 60+ ro- 60+ jc+ 8c- xo- 60+ 1o+ g0+ a0- xo- xo- xo- 60+ 1o+ ho+ 8c- 7o+ g0+ 1o+ 8c- 7o+ ho+ 8c- 60+
    ro- xo- pc+ 0+ 8c- 7o+ q0- 7o+ 0+ q0- xo- 7o+ ho+ 8c- pc+ 8c- 7o+ q0- xo- xo- xo- 60+ 1o+ q0- no+ a0- xo-
    no+ a0- no+ a0- no+ 0+ a0- no+ a0- 7o+ g0+ a0- no+ 1o+ 8c- xo- no+ a0- xo- xo- xo- 60+ 1o+ q0- 60+ jc+
    8c- xo- 60+ ho+ a0- 60+ 0+ ro- xo- 7o+ q0- 60+ jc+ 8c- 60+ ro- 7o+ g0+ a0- 60+ jc+ 8c- 7o+ q0^- pc+ 8c-
    60+ ro- 7o+ g0+ 1o+ 8c- pc+ 0+ 8c- xo- xo- xo- 7o+ q0- 7o+ ho+ 8c- 60+ 1o+ ho+ 8c- 7o+ 0+ q0- xo- xo- 7o+
    q0- xo- 7o+ q0- xo- xo- no+ a0- 60+ ho+ a0- no+ a0- no+ a0- 7o+ g0+ 0+ 1o+ 8c- no+ a0- xo- no+ a0- no+
    a0- pc+ 8c- 7o+ g0+ a0- xo- xo- xo- xo- xo- no+ 1o+ 8c- 7o+ q0- xo- xo- xo- 7o+ ho+ 8c- xo- 60+ jc+ 8c-
    no+ a0- 60+ 1o+ q0- xo- pc+ 8c- 60+ 0+ 1o+ ho+ 8c- pc+ 8c- xo- no+ a0- 60+ jc+ 0+ 8c- 7o+ q0- 7o+ q0- pc+
    8c- xo- 7o+ q0- xo- 7o+ q0- 7o+ 0+ q0- 60+ 1o+ q0- 7o+ q0- xo- xo- no+ a0- xo- no+ a0- 7o+ g0+ 1o+ 8c-
    60+ ho+ a0- xo- no+ a0- no+ 1o+ 8c- xo- no+ 0+ a0- no+ a0- 7o+ g0+ 1o+ 8c- xo- xo- no+ 1o+ 8c- 7o+ g0+
    a0- 7o+ ho+ 8c- xo- xo- xo^- pc+ 8c- xo- 7o+ g0+ a0- 60+ ro- pc+ 8c- pc+ 8c- 60+ 1o+ q0- xo- pc+ 8c- 60+
    jc+ 0+ 8c- 60+ ro- no+ a0- pc+ 8c- 7o+ q0- 7o+ q0- 60+ 0+ ro- 7o+ q0- 7o+ q0- 7o+ q0- 7o+ q0- xo- 7o+ 0+
    q0- 7o+ q0- xo- xo- 60+ 1o+ g0+ a0- no+ a0- xo- no+ a0- xo- xo- no+ a0- no+ a0- 60+ ho+ a0- xo- no+ a0-
    7o+ g0+ 0+ a0- no+ a0- xo- no+ a0- xo- 7o+ g0+ a0- xo- 7o+ q0- no+ a0- xo- 7o+ ho+ 0+ 8c- pc+ 8c- xo- no+
    a0- pc+ 8c- xo- 7o+ ho+ 8c- 60+ jc+ 8c- xo- xo- 60+ jc+ 8c- xo^- xo- 60+ ro- 7o+ g0+ a0- 7o+ q0- 60+ ro-
    xo- 7o+ q0- 7o+ q0- 7o+ q0- 60+ 1o+ q0- 60+ 0+ 1o+ q0- 7o+ 0+ q0- 7o+ q0- xo- 7o+ q0- xo- xo- no+ a0- 60+
    ho+ a0- no+ a0- no+ a0- no+ a0- xo- 7o+ g0+ a0- no+ a0- 60+ ro- no+ a0- no+ a0- 7o+ g0+ 0+ a0- xo- 7o+
    ho+ 8c- pc+ 0+ 8c- 7o+ ho+ 8c- xo- pc+ 8c- xo- pc+ 8c- xo- 7o+ ho+ 8c- xo- pc+ 8c- xo- xo- xo- xo- 60+
    1o+ q0- xo- 60+ 1o+ q0^- xo- 60+ 1o+ q0- 7o+ q0- 7o+ q0- xo- 60+ 1o+ q0- xo- xo- 7o+ q0- 60+ 1o+ q0- 7o+
    q0- 60+ 1o+ 0+ q0- 60+ 1o+ q0- xo- xo- xo- xo- xo- xo- 60+ 0+ 1o+ g0+ 0+ a0-
`,
  },
];
