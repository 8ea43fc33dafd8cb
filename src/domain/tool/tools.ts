import { bashTool } from "#domain/tool/bash";
import { editTool } from "#domain/tool/edit";
import { globTool } from "#domain/tool/glob";
import { grepTool } from "#domain/tool/grep";
import { readTool } from "#domain/tool/read";
import type { Tool } from "#domain/tool/tool";
import { writeTool } from "#domain/tool/write";

/** Every native tool, in the order models are told of them. An agent may use those it names. */
export const NATIVE_TOOLS: readonly Tool[] = [bashTool, readTool, writeTool, editTool, globTool, grepTool];
