// The configuration's JSON Schema, for editors and for naming the right key; run as a program it prints it.
import { z } from 'zod'
import { configSchema } from './schema.ts'

/** What of JSON Schema (2020-12) our settings make use of. */
export type JsonSchema = {
  description?: string
  properties?: Record<string, JsonSchema>
  additionalProperties?: JsonSchema | boolean
  items?: JsonSchema
  anyOf?: JsonSchema[]
  [keyword: string]: unknown
}

export const configJsonSchema = (): JsonSchema => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'sallyport.yaml',
  ...(z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema),
})

/** As it lies in deploy/sallyport.schema.json. */
export const configJsonSchemaText = (): string => `${JSON.stringify(configJsonSchema(), null, 2)}\n`

/** The forms a setting may have; more than one where it is a choice. Empty for an unknown path. */
export function schemasAt(root: JsonSchema, path: readonly (string | number)[]): JsonSchema[] {
  let forms = [root]
  for (const step of path) {
    forms = forms.flatMap(choices).flatMap(form => {
      if (typeof step === 'number') return form.items ? [form.items] : []
      const own = form.properties
      if (own && Object.hasOwn(own, step)) return [own[step] as JsonSchema]
      return typeof form.additionalProperties === 'object' ? [form.additionalProperties] : []
    })
  }
  return forms
}

/** The keys known at a path. */
export const keysAt = (root: JsonSchema, path: readonly (string | number)[]): string[] => [
  ...new Set(
    schemasAt(root, path)
      .flatMap(choices)
      .flatMap(form => Object.keys(form.properties ?? {})),
  ),
]

const choices = (form: JsonSchema): JsonSchema[] => form.anyOf?.flatMap(choices) ?? [form]

if (import.meta.main) process.stdout.write(configJsonSchemaText())
